/** The bench's own stack, beside a running one: PostgreSQL, the dev model, Letta and Graphyn on free ports of loopback, as the launcher starts them. */
import { mkdirSync } from "node:fs";
import { place as benchFolder, type Place } from "../../launcher/paths";
import { type Databases, ensureDatabases, inDatabase } from "../../launcher/stack/databases";
import { devModelBase, startDevModel, stopDevModel } from "../../launcher/stack/dev-model";
import { buildGraphyn, startGraphyn as launchGraphyn, stopGraphyn } from "../../launcher/stack/graphyn";
import { installLetta } from "../../launcher/stack/install-letta";
import { installPostgres } from "../../launcher/stack/install-postgres";
import { installUv } from "../../launcher/stack/install-uv";
import { type LettaOptions, lettaUrl, migrateLetta, startLetta, stopLetta } from "../../launcher/stack/letta";
import { chooseModels } from "../../launcher/stack/models";
import { keepOrChoosePort } from "../../launcher/stack/ports";
import { initPostgres, startPostgres, stopPostgres } from "../../launcher/stack/postgres";
import type { ProcessIdentity } from "../../launcher/stack/process-identity";
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
  await buildGraphyn();
  const port = await keepOrChoosePort(undefined);
  const graphyn = await launchGraphyn({
    place: stack.place,
    host: "127.0.0.1",
    port,
    databaseUrl: stack.databases.graphynUrl,
    lettaUrl: lettaBase,
    lettaKey: stack.secrets.lettaServer,
    embeddingsBase: stack.lettaOptions.models.embeddingsBase,
    embeddingsKey: stack.lettaOptions.models.embeddingsKey,
    model: undefined,
    secrets: stack.secrets,
  });
  stack.stops.push(() => stopGraphyn(graphyn));
  return { url: `http://127.0.0.1:${port}`, pid: graphyn.pid, adminKey: stack.secrets.adminKey };
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
