/** The bench's own stack, beside a running one: PostgreSQL, the dev model, Letta and Graphyn on free ports of loopback, as the launcher starts them. */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { place as benchFolder, type Place, ROOT } from "../../launcher/paths";
import { type Databases, ensureDatabases, inDatabase } from "../../launcher/stack/databases";
import { answersOk, devModelBase, startDevModel, stopDevModel } from "../../launcher/stack/dev-model";
import { installLetta } from "../../launcher/stack/install-letta";
import { installPostgres } from "../../launcher/stack/install-postgres";
import { installUv } from "../../launcher/stack/install-uv";
import { type LettaOptions, lettaUrl, migrateLetta, startLetta, stopLetta } from "../../launcher/stack/letta";
import { chooseModels } from "../../launcher/stack/models";
import { keepOrChoosePort } from "../../launcher/stack/ports";
import { initPostgres, startPostgres, stopPostgres } from "../../launcher/stack/postgres";
import type { ProcessIdentity } from "../../launcher/stack/process-identity";
import { end, launch, untilReady } from "../../launcher/stack/processes";
import { findPython } from "../../launcher/stack/python";
import { loadSecrets, type Secrets } from "../../launcher/stack/secrets";

export interface Stack {
  place: Place;
  secrets: Secrets;
  databases: Databases;
  /** The superuser's URL of Graphyn's database, to look at what the tests of the API cannot. */
  adminUrl: string;
  modelUrl: string;
  lettaPort: number;
  pids: { postgres: number; model: number; letta: number };
  lettaOptions: LettaOptions;
  /** What is to be stopped, in the order of starting. */
  stops: (() => Promise<unknown>)[];
}

const START_MS_MAX = 60_000;
const GRACE_MS = 15_000;

/** Installs what is missing, then starts all but Graphyn. `stops` is filled as things start, so that a failed start leaves nothing behind. */
export async function startStack(stops: Stack["stops"]): Promise<Stack> {
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
  const model = await startDevModel(place, modelPort);
  stops.push(() => stopDevModel(model));
  const lettaPort = await keepOrChoosePort(undefined);
  const lettaOptions: LettaOptions = {
    place,
    port: lettaPort,
    databaseUrl: databases.lettaUrl,
    password: secrets.lettaServer,
    models: chooseModels({}, devModelBase(modelPort)),
  };
  await migrateLetta(lettaOptions);
  const letta = await startLetta(lettaOptions);
  stops.push(() => stopLetta(letta));
  const adminUrl = new URL(postgres.adminUrl);
  adminUrl.pathname = "/graphyn";
  return {
    place,
    secrets,
    databases,
    adminUrl: adminUrl.href,
    modelUrl: `http://127.0.0.1:${modelPort}`,
    lettaPort,
    pids: { postgres: postgres.process.pid, model: model.pid, letta: letta.pid },
    lettaOptions,
    stops,
  };
}

/** Each run begins with empty databases: a result must not depend on the runs before it, and Letta keeps the address of a model it once knew. */
async function dropDatabases(adminUrl: string): Promise<void> {
  await inDatabase(adminUrl, async (db) => {
    for (const name of ["graphyn", "letta"]) await db.query(`drop database if exists ${name} with (force)`);
  });
}

/** A second Letta on the same database, as it is shipped: none of the launcher's settings. */
export async function startShippedLetta(stack: Stack): Promise<{ url: string; process: ProcessIdentity }> {
  const port = await keepOrChoosePort(undefined);
  const process = await startLetta({ ...stack.lettaOptions, port, isTuned: false });
  stack.stops.push(() => stopLetta(process));
  return { url: lettaUrl(port), process };
}

export async function startGraphyn(
  stack: Stack,
  lettaBase: string,
): Promise<{ url: string; pid: number; adminKey: string }> {
  const port = await keepOrChoosePort(undefined);
  const url = `http://127.0.0.1:${port}`;
  const adminKey = randomBytes(16).toString("hex");
  const log = join(stack.place.logs, "graphyn.log");
  const graphyn = launch({
    command: process.execPath,
    args: ["packages/encore-node/bin/encore-node.js", "start", "backend"],
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      ENCORE_NODE_PORT: String(port),
      ENCORE_NODE_HOST: "127.0.0.1",
      ENCORE_NODE_DB_GRAPHYN: stack.databases.graphynUrl,
      AdminKey: adminKey,
      ApiKeyHashKey: stack.secrets.apiKeyHashKey,
      LettaApiKey: stack.secrets.lettaServer,
      LETTA_API_URL: lettaBase,
      EmbeddingsApiKey: "dev-model",
      EMBEDDINGS_API_BASE: `${stack.modelUrl}/v1`,
    },
    log,
  });
  stack.stops.push(() => end(graphyn, "SIGTERM", GRACE_MS));
  await untilReady({
    name: "Graphyn",
    process: graphyn,
    log,
    timeoutMs: START_MS_MAX,
    isReady: () => answersOk(`${url}/health`),
  });
  return { url, pid: graphyn.pid, adminKey };
}

/** Runs `work` and then stops whatever it has put into `stops`, also when it throws or the user presses Ctrl-C. */
export async function withStops(work: (stops: Stack["stops"]) => Promise<void>): Promise<void> {
  const stops: Stack["stops"] = [];
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void stopAll(stops).then(() => process.exit(1)));
  }
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
