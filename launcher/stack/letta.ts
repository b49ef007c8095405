import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../fault";
import { type Place, ROOT } from "../paths";
import { certificatesFor } from "./certificates";
import { inDatabase } from "./databases";
import { answersOk } from "./dev-model";
import { LETTA_DIR } from "./install-letta";
import { newestMigration } from "./letta-migrations";
import type { Models } from "./models";
import type { ProcessIdentity } from "./process-identity";
import { end, launch, untilReady } from "./processes";
import { run, tail } from "./run";

const MIGRATE_TIMEOUT_MS = 180_000;
const START_TIMEOUT_MS = 120_000;
const STOP_GRACE_MS = 5_000; // it waits for readers of streams, who would stay
const SERVER_SCRIPT = join(ROOT, "launcher", "stack", "letta_server.py");

/**
 * As measured (first token 106 to 140 ms instead of 295 to 385 as shipped): pooled connections, no trace of every request,
 * no telemetry, statements prepared once.
 */
const TUNING: Readonly<Record<string, string>> = {
  LETTA_DISABLE_SQLALCHEMY_POOLING: "false",
  LETTA_POOL_PRE_PING: "false",
  // As shipped 25 and 10 more that are opened and closed with each use: at 20 messages at once all 35 were taken, and a connection that was
  // never opened failed a message after 30 s (1 of 60; letta_transports.py says why). Opened once and kept, 41 serve 20 at once and 69
  // serve 40: none of 280 failed.
  LETTA_PG_POOL_SIZE: "80",
  LETTA_PG_MAX_OVERFLOW: "0",
  LETTA_PG_POOL_RECYCLE: "-1",
  LETTA_TRACK_PROVIDER_TRACE: "false",
  LETTA_DISABLE_TRACING: "true",
  LETTA_ENABLE_DB_POOL_MONITORING: "false",
  GRAPHYN_LETTA_TUNED: "1", // see letta_server.py
  LETTA_UVICORN_TIMEOUT_KEEP_ALIVE: "75", // as shipped it closes idle connections after 5 s, under a client's feet
};
/** What Letta may see of our environment. Not all of it: it takes settings from any LETTA_*, OPENAI_* or *_API_KEY it finds. */
const INHERITED = ["PATH", "LANG", "TZ", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] as const;

export interface LettaOptions {
  readonly place: Place;
  readonly port: number;
  readonly databaseUrl: string;
  readonly password: string;
  readonly models: Models;
  /** False starts it as shipped, for the bench that compares the two. */
  readonly isTuned?: boolean;
  readonly onLaunch?: (process: ProcessIdentity) => void;
}

export function lettaUrl(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** Applies Letta's migrations unless its database has the newest. True if there was something to do. */
export async function migrateLetta(options: LettaOptions, wanted = newestMigration()): Promise<boolean> {
  if ((await appliedMigration(options.databaseUrl)) === wanted) return false;
  const { code, output } = await run(join(LETTA_DIR, ".venv", "bin", "alembic"), ["upgrade", "head"], {
    cwd: LETTA_DIR,
    env: { ...(await lettaEnv(options)), LETTA_PG_URI: options.databaseUrl }, // its driver knows no sslmode
    timeoutMs: MIGRATE_TIMEOUT_MS,
  });
  // alembic prints the address it uses, password and all: it goes no further than this function.
  const said = output.replace(/(:\/\/[^:/\s]+:)[^@\s]+@/g, "$1…@");
  if (code !== 0)
    throw new Fault(
      `Letta's database could not be migrated.\n${tail(said)}`,
      "Run ./graphyn doctor; the rest of the output is above.",
    );
  return true;
}

async function appliedMigration(databaseUrl: string): Promise<string | undefined> {
  return inDatabase(databaseUrl, async (db) => {
    const { rows } = await db.query<{ known: string | null }>("select to_regclass('alembic_version')::text as known");
    if (rows[0]?.known == null) return undefined;
    return (await db.query<{ version_num: string }>("select version_num from alembic_version")).rows[0]?.version_num;
  });
}

/** Starts Letta on loopback and waits until it is healthy (10 to 24 s on two cores). */
export async function startLetta(options: LettaOptions): Promise<ProcessIdentity> {
  const process = await launchLetta(options);
  await untilLettaReady(options, process);
  return process;
}

/** Starts Letta on loopback. It asks for the list of its models once, when it has imported itself; with the gateway it waits for that. */
export async function launchLetta(options: LettaOptions): Promise<ProcessIdentity> {
  const wait = options.models.usesGateway ? ["--wait-for-models"] : [];
  const process = launch({
    command: join(LETTA_DIR, ".venv", "bin", "python"),
    args: [SERVER_SCRIPT, "127.0.0.1", String(options.port), ...wait],
    cwd: LETTA_DIR,
    env: await lettaEnv(options),
    log: logOf(options),
  });
  options.onLaunch?.(process);
  return process;
}

export async function untilLettaReady(options: LettaOptions, process: ProcessIdentity): Promise<void> {
  const isReady = () => answersOk(`${lettaUrl(options.port)}/v1/health/`);
  await untilReady({ name: "Letta", process, log: logOf(options), timeoutMs: START_TIMEOUT_MS, isReady });
}

function logOf({ place }: LettaOptions): string {
  return join(place.logs, "letta.log");
}

export function stopLetta(process: ProcessIdentity): Promise<boolean> {
  return end(process, "SIGTERM", STOP_GRACE_MS);
}

async function lettaEnv(options: LettaOptions): Promise<NodeJS.ProcessEnv> {
  const home = join(options.place.dir, "letta");
  mkdirSync(home, { recursive: true });
  const certificates = join(home, "certificates.pem");
  writeFileSync(certificates, await certificatesFor(options.models.addresses));
  const env: NodeJS.ProcessEnv = {};
  for (const name of INHERITED) if (process.env[name] !== undefined) env[name] = process.env[name];
  const isTuned = options.isTuned !== false;
  return {
    ...env,
    HOME: home, // it writes ~/.letta
    NO_PROXY: "127.0.0.1,localhost",
    PYTHONUNBUFFERED: "1",
    // Pooled connections demand TLS unless the address says otherwise.
    LETTA_PG_URI: isTuned ? `${options.databaseUrl}?sslmode=disable` : options.databaseUrl,
    LETTA_SERVER_PASSWORD: options.password,
    LETTA_SERVER_SECURE: "true",
    LETTA_NO_DEFAULT_ACTOR: "true",
    ...(isTuned ? { ...TUNING, SSL_CERT_FILE: certificates } : {}),
    ...options.models.lettaEnv,
  };
}
