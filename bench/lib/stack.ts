/** The bench's own stack, beside a running one: PostgreSQL, the dev model, Letta and Graphyn on free ports of loopback, as the launcher starts them. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { place as benchFolder, type Place } from "../../launcher/paths";
import { type Databases, ensureDatabases, inDatabase } from "../../launcher/stack/databases";
import { devModelBase, startDevModel, stopDevModel } from "../../launcher/stack/dev-model";
import { buildGraphyn, startGraphyn as launchGraphyn, stopGraphyn } from "../../launcher/stack/graphyn";
import { installLetta } from "../../launcher/stack/install-letta";
import { installPostgres } from "../../launcher/stack/install-postgres";
import { installUv, type Uv } from "../../launcher/stack/install-uv";
import { type LettaOptions, lettaUrl, migrateLetta, startLetta, stopLetta } from "../../launcher/stack/letta";
import { chooseModels, type Gateway, type Models } from "../../launcher/stack/models";
import { keepOrChoosePort } from "../../launcher/stack/ports";
import { initPostgres, startPostgres, stopPostgres } from "../../launcher/stack/postgres";
import type { ProcessIdentity } from "../../launcher/stack/process-identity";
import { findPython } from "../../launcher/stack/python";
import { loadSecrets, type Secrets } from "../../launcher/stack/secrets";

/** All but Letta and Graphyn. */
export interface Base {
  place: Place;
  uv: Uv;
  secrets: Secrets;
  databases: Databases;
  /** The superuser's URL of Graphyn's database, to look at what the tests of the API cannot. */
  adminUrl: string;
  modelUrl: string;
  /** The dev model, asked by whoever is given them directly. */
  models: Models;
  lettaPort: number;
  pids: { postgres: number; model: number };
  /** What is to be stopped, in the order of starting. */
  stops: (() => Promise<unknown>)[];
}

export interface Stack extends Base {
  pids: { postgres: number; model: number; letta: number };
  lettaOptions: LettaOptions;
}

interface StackOptions {
  /** Starts what Letta is to ask its models through, which it does when it starts. Without it, it asks the dev model. */
  beforeLetta?: (base: Base) => Promise<Gateway>;
  /** The dev model shows when it sent which token. */
  record?: boolean;
}

/** Installs what is missing, then starts all but Graphyn. `stops` is filled as things start, so that a failed start leaves nothing behind. */
export async function startStack(
  stops: Stack["stops"],
  { beforeLetta, record = false }: StackOptions = {},
): Promise<Stack> {
  const place = benchFolder("bench");
  mkdirSync(place.logs, { recursive: true });
  const uv = await installUv(await findPython());
  await installPostgres(uv);
  await installLetta(uv, () => undefined);
  const secrets = loadSecrets(place.secrets);
  await initPostgres(place, secrets.postgresAdmin);
  const postgres = await startPostgres(place, await keepOrChoosePort(undefined), secrets.postgresAdmin);
  stops.push(() => stopPostgres(postgres.process));
  await dropDatabases(postgres.adminUrl);
  const databases = await ensureDatabases(postgres.port, secrets);
  const modelPort = await keepOrChoosePort(undefined);
  const model = await startDevModel(place, modelPort, { record });
  stops.push(() => stopDevModel(model));
  const base: Base = {
    place,
    uv,
    secrets,
    databases,
    adminUrl: withDatabase(postgres.adminUrl, "graphyn"),
    modelUrl: `http://127.0.0.1:${modelPort}`,
    models: chooseModels({}, devModelBase(modelPort)),
    lettaPort: await keepOrChoosePort(undefined),
    pids: { postgres: postgres.process.pid, model: model.pid },
    stops,
  };
  const gateway = await beforeLetta?.(base);
  const lettaOptions: LettaOptions = {
    place,
    port: base.lettaPort,
    databaseUrl: databases.lettaUrl,
    password: secrets.lettaServer,
    models: chooseModels({}, devModelBase(modelPort), gateway),
  };
  await migrateLetta(lettaOptions);
  const letta = await startLetta(lettaOptions);
  stops.push(() => stopLetta(letta));
  return { ...base, pids: { ...base.pids, letta: letta.pid }, lettaOptions };
}

export function withDatabase(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  return other.href;
}

/** Another database of Graphyn's role, for a second Graphyn or for somebody else. */
export async function createDatabase({ adminUrl, databases }: Base, name: string): Promise<string> {
  await inDatabase(adminUrl, (db) => db.query(`create database ${name} owner graphyn`));
  await inDatabase(withDatabase(adminUrl, name), (db) => db.query("create extension if not exists vector"));
  return withDatabase(databases.graphynUrl, name);
}

/** Those of `ensureDatabases`, and those that benches make. */
const DATABASES = [
  "graphyn",
  "letta",
  "graphyn_waiting",
  "graphyn_ahead",
  "agno",
  "growth_1",
  "growth_100",
  "growth_10000",
];

/** Each run begins with empty databases: a result must not depend on the runs before it, and Letta keeps the address of a model it once knew. */
async function dropDatabases(adminUrl: string): Promise<void> {
  await inDatabase(adminUrl, async (db) => {
    for (const name of DATABASES) await db.query(`drop database if exists ${name} with (force)`);
  });
}

/** A second Letta on the same database, as it is shipped: none of the launcher's settings. */
export async function startShippedLetta(stack: Stack): Promise<{ url: string; process: ProcessIdentity }> {
  const port = await keepOrChoosePort(undefined);
  const process = await startLetta({ ...stack.lettaOptions, port, isTuned: false });
  stack.stops.push(() => stopLetta(process));
  return { url: lettaUrl(port), process };
}

interface GraphynOptions {
  databaseUrl?: string;
  env?: Record<string, string>;
  /** Of its log's folder, where there are several. */
  name?: string;
  /** A free one, where none is given. */
  port?: number;
}

export async function startGraphyn(
  stack: Base,
  lettaBase: string,
  { databaseUrl = stack.databases.graphynUrl, env, name, port: wanted }: GraphynOptions = {},
): Promise<{ url: string; pid: number; adminKey: string; stop(): Promise<unknown> }> {
  await buildGraphyn();
  const port = await keepOrChoosePort(wanted);
  const place = name === undefined ? stack.place : { ...stack.place, logs: join(stack.place.logs, name) };
  const graphyn = await launchGraphyn({
    place,
    host: "127.0.0.1",
    port,
    databaseUrl,
    lettaUrl: lettaBase,
    lettaKey: stack.secrets.lettaServer,
    embeddingsBase: stack.models.embeddingsBase,
    embeddingsKey: stack.models.embeddingsKey,
    model: undefined,
    secrets: stack.secrets,
    ...(env ? { env } : {}),
  });
  const stop = () => stopGraphyn(graphyn);
  stack.stops.push(stop);
  return { url: `http://127.0.0.1:${port}`, pid: graphyn.pid, adminKey: stack.secrets.adminKey, stop };
}

/** Runs `work` and then stops whatever it has put into `stops`, also when it throws or the user presses Ctrl-C. */
export async function withStops(work: (stops: Stack["stops"]) => Promise<void>): Promise<void> {
  const stops: Stack["stops"] = [];
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void stopAll(stops).then(() => process.exit(1)));
  }
  process.once("uncaughtException", (error) => {
    console.error(error);
    void stopAll(stops).then(() => process.exit(1)); // servers would be left behind
  });
  try {
    await work(stops);
  } finally {
    await stopAll(stops);
  }
}

/** Stops in the reverse order of starting; one that does not stop keeps none of the others. */
async function stopAll(stops: Stack["stops"]): Promise<void> {
  for (const stop of stops.toReversed()) {
    await stop().catch((error: unknown) => console.error(`could not be stopped: ${String(error)}`));
  }
}
