import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { place } from "../../../launcher/paths";
import { migrateLetta, startLetta, stopLetta } from "../../../launcher/stack/letta";
import { newestMigration } from "../../../launcher/stack/letta-migrations";
import { chooseModels } from "../../../launcher/stack/models";

/** A Letta of the test's own, as the launcher starts it, whose models are at `base`. */
export interface OwnLetta {
  url: string;
  password: string;
  call<T>(method: string, path: string, options: { user?: string; body?: unknown }): Promise<T>;
  /** The `data:` lines of an event stream, parsed, without the last. */
  stream(path: string, options: { user: string; body: unknown }): Promise<LettaMessage[]>;
  stop(): Promise<void>;
}

export interface LettaMessage {
  message_type: string;
  content?: string;
  tool_call?: { name: string | null; arguments: string | null };
  status?: string;
  stop_reason?: string;
  total_tokens?: number;
}

export async function startOwnLetta(port: number, password: string, base: string, key: string): Promise<OwnLetta> {
  const server = process.env.TEST_DATABASE_URL;
  if (!server) throw new Error("TEST_DATABASE_URL is not set: run the tests with ./graphyn test");
  const name = `letta_test_${randomBytes(6).toString("hex")}`;
  const migration = newestMigration();
  const isMigrated = await makeDatabase(server, name, `letta_${migration}`);
  const home = place("test");
  const own = join(home.dir, name);
  const options = {
    place: { ...home, dir: own, logs: join(own, "logs") },
    port,
    databaseUrl: at(server, name).replace(/^postgres:/, "postgresql:"),
    password,
    models: chooseModels({ OPENAI_API_BASE: base, OPENAI_API_KEY: key }, base),
  };
  if (!isMigrated) await migrateLetta(options, migration);
  const letta = await startLetta(options);
  const url = `http://127.0.0.1:${port}`;
  const send = (method: string, path: string, { user, body }: { user?: string; body?: unknown }) =>
    fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${password}`,
        "content-type": "application/json",
        ...(user === undefined ? {} : { user_id: user }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
  return {
    url,
    password,
    async call<T>(method: string, path: string, sent: { user?: string; body?: unknown }) {
      const response = await send(method, path, sent);
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as T;
    },
    async stream(path, sent) {
      const text = await (await send("POST", path, sent)).text();
      const lines = text.split("\n").filter((line) => line.startsWith("data: {"));
      return lines.map((line) => JSON.parse(line.slice("data: ".length)) as LettaMessage);
    },
    async stop() {
      await stopLetta(letta);
      await inDatabase(server, `drop database if exists ${name} with (force)`);
      rmSync(own, { recursive: true, force: true });
    },
  };
}

/** From the migrated template that `./graphyn test` keeps, where there is one; that takes a second, and the migrations take ten. */
async function makeDatabase(server: string, name: string, template: string): Promise<boolean> {
  try {
    await inDatabase(server, `create database ${name} template ${template}`);
    return true;
  } catch {
    await inDatabase(server, `create database ${name}`);
    await inDatabase(at(server, name), "create extension if not exists vector");
    return false;
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
