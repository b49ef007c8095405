import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { place } from "../../../launcher/paths";
import { migrateLetta, startLetta, stopLetta } from "../../../launcher/stack/letta";
import { newestMigration } from "../../../launcher/stack/letta-migrations";
import { chooseModels } from "../../../launcher/stack/models";
import { end } from "../../../launcher/stack/processes";

/** A Letta of the tests' own. */
export interface OwnLetta {
  url: string;
  password: string;
  /** Its database, as the administrator. */
  databaseUrl: string;
}

/** Starts a Letta as the launcher does, with a database of its own, whose models are at `base`. */
export async function startOwnLetta(
  port: number,
  password: string,
  base: string,
  key: string,
): Promise<OwnLetta & { stop(): Promise<void> }> {
  const { databaseUrl, isMigrated, drop } = await newLettaDatabase();
  const home = place("test");
  const own = join(home.dir, new URL(databaseUrl).pathname.slice(1));
  const options = {
    place: { ...home, dir: own, logs: join(own, "logs") },
    port,
    databaseUrl,
    password,
    models: chooseModels({ OPENAI_API_BASE: base, OPENAI_API_KEY: key }, base),
  };
  if (!isMigrated) await migrateLetta(options, newestMigration());
  const letta = await startLetta(options);
  return {
    url: `http://127.0.0.1:${port}`,
    password,
    databaseUrl,
    async stop() {
      await stopLetta(letta);
      await drop();
      rmSync(own, { recursive: true, force: true });
    },
  };
}

/** A database for a Letta: from the migrated template that `./graphyn test` keeps, where there is one; the migrations take ten seconds. */
export async function newLettaDatabase(): Promise<{ databaseUrl: string; isMigrated: boolean; drop(): Promise<void> }> {
  const server = process.env.TEST_DATABASE_URL;
  if (!server) throw new Error("TEST_DATABASE_URL is not set: run the tests with ./graphyn test");
  const name = `letta_test_${randomBytes(6).toString("hex")}`;
  const databaseUrl = at(server, name).replace(/^postgres:/, "postgresql:");
  const drop = () => inDatabase(server, `drop database if exists ${name} with (force)`);
  try {
    await inDatabase(server, `create database ${name} template letta_${newestMigration()}`);
    return { databaseUrl, isMigrated: true, drop };
  } catch {
    await inDatabase(server, `create database ${name}`);
    await inDatabase(databaseUrl, "create extension if not exists vector");
    return { databaseUrl, isMigrated: false, drop };
  }
}

function at(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}

async function inDatabase(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** A further server on a Letta's database, with a place and log of its own. `kill` ends it as a crash would. */
export async function startLettaBeside(
  { databaseUrl, password }: OwnLetta,
  port: number,
  base: string,
  key: string,
): Promise<{ url: string; kill(): Promise<void> }> {
  const home = place("test");
  const dir = join(home.dir, `${new URL(databaseUrl).pathname.slice(1)}_${port}`);
  const letta = await startLetta({
    place: { ...home, dir, logs: join(dir, "logs") },
    port,
    databaseUrl,
    password,
    models: chooseModels({ OPENAI_API_BASE: base, OPENAI_API_KEY: key }, base),
  });
  return {
    url: `http://127.0.0.1:${port}`,
    async kill() {
      await end(letta, "SIGKILL", KILLED_MS_MAX);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const KILLED_MS_MAX = 5_000;
