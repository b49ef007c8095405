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

/**
 * For tests: puts Letta's database back to how it is right after its migrations, which are run once and kept as a template.
 * Returns false if there is no template of that migration yet.
 */
export async function resetLettaDatabase(port: number, secrets: Secrets, migration: string): Promise<boolean> {
  const template = `letta_${migration}`;
  return inDatabase(adminUrl(port, secrets.postgresAdmin), async (db) => {
    const { rowCount } = await db.query("select 1 from pg_database where datname = $1", [template]);
    if (rowCount === 0) return false;
    await db.query("drop database if exists letta with (force)");
    await db.query(`create database letta template ${template} owner letta`);
    return true;
  });
}

/** Keeps Letta's database, just migrated and not in use, as that template. */
export async function keepLettaTemplate(port: number, secrets: Secrets, migration: string): Promise<void> {
  await inDatabase(adminUrl(port, secrets.postgresAdmin), (db) =>
    db.query(`create database letta_${migration} template letta owner letta`),
  );
}

/** For tests: drops the databases that a killed run left. */
export async function dropTestDatabases(port: number, secrets: Secrets): Promise<void> {
  await inDatabase(adminUrl(port, secrets.postgresAdmin), async (db) => {
    const sql = "select datname from pg_database where datname ~ '^(graphyn_test|encore_node)_'";
    for (const { datname } of (await db.query<{ datname: string }>(sql)).rows) {
      await db.query(`drop database ${db.escapeIdentifier(datname)} with (force)`);
    }
  });
}
