import pg from "pg";
import { adminUrl } from "./postgres";
import type { Secrets } from "./secrets";

/** The embedded server's two databases, each with the role that owns it. */
export interface Databases {
  /** Graphyn's role: no superuser, row-level security holds for it; CREATEROLE for the roles its migrations make. */
  readonly graphynUrl: string;
  readonly lettaUrl: string;
}

/**
 * Makes roles and databases if they are missing and sets the roles' passwords. The administrator adds
 * `vector`, as this build of pgvector is not a trusted extension: a role without superuser may not.
 */
export async function ensureDatabases(port: number, secrets: Secrets): Promise<Databases> {
  await inDatabase(adminUrl(port, secrets.postgresAdmin), async (db) => {
    await ensureRole(db, "graphyn", "login nosuperuser nobypassrls createrole", secrets.graphynDatabase);
    await ensureRole(db, "letta", "login nosuperuser", secrets.lettaDatabase);
    for (const name of ["graphyn", "letta"]) {
      const { rowCount } = await db.query("select 1 from pg_database where datname = $1", [name]);
      if (rowCount === 0) await db.query(`create database ${name} owner ${name}`);
      await db.query(`revoke connect, temporary on database ${name} from public`);
    }
  });
  for (const name of ["graphyn", "letta"]) {
    const url = adminUrl(port, secrets.postgresAdmin, name);
    await inDatabase(url, (db) => db.query("create extension if not exists vector"));
  }
  const url = (name: string, password: string) => `postgresql://${name}:${password}@127.0.0.1:${port}/${name}`;
  return { graphynUrl: url("graphyn", secrets.graphynDatabase), lettaUrl: url("letta", secrets.lettaDatabase) };
}

async function ensureRole(db: pg.Client, name: string, rights: string, password: string): Promise<void> {
  const { rowCount } = await db.query("select 1 from pg_roles where rolname = $1", [name]);
  const verb = rowCount === 0 ? "create" : "alter";
  await db.query(`${verb} role ${name} ${rights} password ${db.escapeLiteral(password)}`);
}

export async function inDatabase<T>(url: string, work: (db: pg.Client) => Promise<T>): Promise<T> {
  const db = new pg.Client({ connectionString: url });
  await db.connect();
  try {
    return await work(db);
  } finally {
    await db.end();
  }
}
