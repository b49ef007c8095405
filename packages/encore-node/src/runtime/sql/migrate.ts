/**
 * Migrations in Encore's own form: files `1_name.up.sql`, the table `schema_migrations (version, dirty)` of golang-migrate
 * with one row for each version (cli/daemon/sqldb/migrate.go). Each file is one transaction together with its row; an
 * advisory lock keeps other processes waiting.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { isDatabaseError } from "./errors.js";

/** Any number, the same in every process: the lock is per database. */
const LOCK_KEY = 5_142_010_826;
const LOCK_WAIT_MS = 120_000;
const CONNECT_TIMEOUT_MS = 10_000;
const FILE = /^(\d+)_([^.]+)\.up\.sql$/;

interface Migration {
  version: number;
  file: string;
  path: string;
}

export function listMigrations(dir: string): Migration[] {
  const out: Migration[] = [];
  for (const file of readdirSync(dir)) {
    const m = FILE.exec(file);
    if (m) out.push({ version: Number(m[1]), file, path: join(dir, file) });
  }
  out.sort((a, b) => a.version - b.version);
  for (let i = 1; i < out.length; i++) {
    const [a, b] = [out[i - 1] as Migration, out[i] as Migration];
    if (a.version === b.version)
      throw new Error(`encore-node: the migrations ${a.file} and ${b.file} have the same number`);
  }
  return out;
}

/** Connects; creates the database first when it is missing and the user may. */
async function connect(url: string): Promise<pg.Client> {
  const options = { connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS };
  const client = new pg.Client(options);
  try {
    await client.connect();
    return client;
  } catch (e) {
    await client.end().catch(() => {});
    if (!isDatabaseError(e) || e.code !== "3D000") throw e;
  }
  await createDatabase(url);
  const again = new pg.Client(options);
  await again.connect();
  return again;
}

async function createDatabase(url: string): Promise<void> {
  const admin = new URL(url);
  const name = decodeURIComponent(admin.pathname.slice(1));
  admin.pathname = "/postgres";
  const client = new pg.Client({ connectionString: admin.href, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  await client.connect();
  try {
    await client.query(`create database ${pg.escapeIdentifier(name)}`);
  } catch (e) {
    // Another process was first.
    if (!isDatabaseError(e) || (e.code !== "42P04" && e.code !== "23505")) throw e;
  } finally {
    await client.end();
  }
}

/** Applies what is missing; gives the files applied. */
export async function migrate(name: string, url: string, dir: string | null): Promise<string[]> {
  let client: pg.Client;
  try {
    client = await connect(url);
  } catch (e) {
    throw new Error(`encore-node: cannot reach the database "${name}": ${reason(e)}`);
  }
  try {
    return dir === null ? [] : await apply(client, listMigrations(dir));
  } finally {
    await client.end().catch(() => {});
  }
}

async function apply(client: pg.Client, migrations: Migration[]): Promise<string[]> {
  await client.query(`set lock_timeout = ${LOCK_WAIT_MS}`);
  await client.query("select pg_advisory_lock($1)", [LOCK_KEY]);
  await client.query("set lock_timeout = 0");
  await client.query(
    "create table if not exists schema_migrations (version bigint not null primary key, dirty boolean not null)",
  );
  const { rows } = await client.query<{ version: string; dirty: boolean }>(
    "select version, dirty from schema_migrations",
  );
  const applied = new Map(rows.map((r) => [Number(r.version), r.dirty]));
  const done: string[] = [];
  for (const m of migrations) {
    const dirty = applied.get(m.version);
    if (dirty === false) continue;
    if (dirty) {
      throw new Error(
        `encore-node: schema_migrations marks version ${m.version} (${m.file}) as dirty: put the schema right by hand, then delete that row`,
      );
    }
    await applyOne(client, m);
    done.push(m.file);
  }
  return done;
}

async function applyOne(client: pg.Client, m: Migration): Promise<void> {
  const sql = readFileSync(m.path, "utf8");
  try {
    await client.query("begin");
    await client.query(sql);
    await client.query("insert into schema_migrations (version, dirty) values ($1, false)", [m.version]);
    await client.query("commit");
  } catch (e) {
    await client.query("rollback").catch(() => {});
    throw new Error(`encore-node: the migration ${m.path} failed and was rolled back: ${reason(e)}${position(e, sql)}`);
  }
}

function position(e: unknown, sql: string): string {
  if (!isDatabaseError(e) || e.position === undefined) return "";
  return ` (line ${sql.slice(0, Number(e.position)).split("\n").length})`;
}

function reason(e: unknown): string {
  const error = e instanceof AggregateError ? (e.errors[0] as unknown) : e;
  if (!isDatabaseError(error)) return error instanceof Error ? error.message : String(error);
  return [`${error.severity}: ${error.message}`, error.detail, error.hint].filter(Boolean).join("; ");
}
