import { randomBytes } from "node:crypto";
import pg from "pg";

export interface TestDatabase {
  /** As the application: a login role that is no superuser and sees no row by itself. */
  url: string;
  /** The same database as its administrator, to look behind row-level security. */
  adminUrl: string;
  drop(): Promise<void>;
}

const SERVER_ROLES = [
  "graphyn_tenant",
  "graphyn_dispatch",
  "graphyn_flush",
  "graphyn_search",
  "graphyn_audit",
  "graphyn_guest",
  "graphyn_guest_reach",
];

/** A database of its own, as a user would make one: see docs/self-hosting.md. */
export async function createDatabase(): Promise<TestDatabase> {
  const server = process.env.TEST_DATABASE_URL;
  if (!server) throw new Error("TEST_DATABASE_URL is not set: run the tests with ./graphyn test");
  const name = `graphyn_test_${randomBytes(6).toString("hex")}`;
  const password = randomBytes(16).toString("hex");
  await asAdmin(
    server,
    `create role ${name} login createrole password '${password}'`,
    // The graphyn_* roles belong to the whole server: whoever made them first may grant them, and nobody else who is no superuser.
    ...SERVER_ROLES.flatMap((role) => [
      `do $$ begin create role ${role} nologin; exception when duplicate_object then null; end $$`,
      `grant ${role} to ${name} with admin true, inherit false, set false`,
    ]),
    `create database ${name} owner ${name}`,
  );
  const adminUrl = at(server, name);
  await asAdmin(adminUrl, "create extension vector");
  const url = new URL(adminUrl);
  url.username = name;
  url.password = password;
  return {
    url: url.href,
    adminUrl,
    drop: async () => {
      await asAdmin(server, `drop database if exists ${name} with (force)`);
      // Memberships it granted go too; the graphyn_* roles stay, they belong to the whole server.
      await asAdmin(
        server,
        `reassign owned by ${name} to current_user`,
        `drop owned by ${name} cascade`,
        `drop role ${name}`,
      );
    },
  };
}

function at(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}

async function asAdmin(url: string, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Rows as the administrator sees them. */
export async function adminQuery<T extends object>(
  adminUrl: string,
  sql: string,
  values: unknown[] = [],
): Promise<T[]> {
  const client = new pg.Client({ connectionString: adminUrl });
  client.on("error", () => undefined); // a server that ends says so to the connection, and to the query besides
  await client.connect();
  try {
    return (await client.query<T>(sql, values)).rows;
  } finally {
    await client.end();
  }
}
