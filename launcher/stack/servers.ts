import type { Place } from "../paths";
import { step } from "../terminal/progress";
import { dropTestDatabases, ensureDatabases, keepLettaTemplate, resetLettaDatabase } from "./databases";
import { devModelBase, startDevModel } from "./dev-model";
import { installMissing } from "./install";
import { launchLetta, lettaUrl, migrateLetta, untilLettaReady } from "./letta";
import { moveModelEndpoint } from "./letta-endpoints";
import { newestMigration } from "./letta-migrations";
import { chooseModels, GATEWAY_PATH, type Models } from "./models";
import { checkDatabase, checkLetta, type OwnParts } from "./own-parts";
import { keepOrChoosePort } from "./ports";
import { initPostgres, startPostgres } from "./postgres";
import type { Secrets } from "./secrets";
import { readState, type ServerName, updateState } from "./state";
import { LETTA_VERSION, POSTGRES_VERSION } from "./versions";

/** Everything below Graphyn, ready to be used. */
export interface Servers {
  readonly databaseUrl: string;
  /** The superuser of the embedded PostgreSQL; absent with the user's own. */
  readonly adminUrl: string | undefined;
  readonly lettaUrl: string;
  readonly lettaKey: string;
  readonly models: Models;
  /** `http://127.0.0.1:port`, absent with the user's own provider. */
  readonly devModelUrl: string | undefined;
}

interface Options {
  readonly place: Place;
  readonly secrets: Secrets;
  readonly own: OwnParts;
  /** Providers' keys and addresses, as in `chooseModels`. */
  readonly env: NodeJS.ProcessEnv;
  /** For tests: data that need not survive a power cut, and a dev model that shows what it was asked. */
  readonly isForTests?: boolean;
  /** Graphyn, where it is to be the embedded Letta's model: its port, and what starts it. Letta's list of models is its list. */
  readonly gateway?: { readonly port: number; readonly start: (servers: Servers) => Promise<void> };
}

/** Installs what is missing and starts PostgreSQL, the dev model and Letta, or uses what the user brought. One line a step. */
export async function startServers({
  place,
  secrets,
  own,
  env,
  isForTests = false,
  gateway,
}: Options): Promise<Servers> {
  const needsPostgres = !own.databaseUrl || !own.letta; // the embedded Letta keeps its database in the embedded server
  await installMissing({
    postgres: needsPostgres,
    letta: !own.letta,
    redis: isForTests && !process.env.REDIS_SERVER,
    chromium: isForTests && !process.env.CHROMIUM,
    schemathesis: isForTests && !process.env.SCHEMATHESIS,
  });

  const ports = await choosePorts(place);
  const remember = (name: ServerName) => (process: { pid: number; startedAt: string }) => {
    updateState(place.state, (state) => {
      state.processes[name] = process;
    });
  };

  let embedded: { graphynUrl: string; lettaUrl: string; adminUrl: string } | undefined;
  if (needsPostgres) {
    await step("PostgreSQL", "starting", async ({ say }) => {
      if (await initPostgres(place, secrets.postgresAdmin)) say("made its files, starting");
      const options = { forgetful: isForTests, onLaunch: remember("postgres") };
      const { adminUrl } = await startPostgres(place, ports.postgres, secrets.postgresAdmin, options);
      embedded = { ...(await ensureDatabases(ports.postgres, secrets)), adminUrl };
      if (isForTests) await dropTestDatabases(ports.postgres, secrets);
      return `${POSTGRES_VERSION} on 127.0.0.1:${ports.postgres}`;
    });
  }
  if (own.databaseUrl) await step("Database", "asking it", () => checkDatabase(own.databaseUrl ?? ""));

  const usesGateway = gateway !== undefined && !own.letta && env.GRAPHYN_TURN_SOURCE !== "relay";
  const models = chooseModels(
    env,
    devModelBase(ports["dev-model"]),
    usesGateway ? { base: gatewayBase(gateway.port), key: secrets.modelGatewayKey } : undefined,
  );
  if (models.needsDevModel) {
    await step("Dev model", "starting", async () => {
      await startDevModel(place, ports["dev-model"], { record: isForTests, onLaunch: remember("dev-model") });
      return `on 127.0.0.1:${ports["dev-model"]}; not a language model`;
    });
  }
  const servers: Servers = {
    databaseUrl: own.databaseUrl ?? embedded?.graphynUrl ?? "",
    adminUrl: embedded?.adminUrl,
    lettaUrl: own.letta?.url ?? lettaUrl(ports.letta),
    lettaKey: own.letta?.key ?? secrets.lettaServer,
    models,
    devModelUrl: models.needsDevModel ? `http://127.0.0.1:${ports["dev-model"]}` : undefined,
  };
  if (own.letta) await step("Letta", "asking it", () => checkLetta(own.letta ?? { url: "", key: "" }));
  else
    await startEmbeddedLetta({
      place,
      port: ports.letta,
      databaseUrl: embedded?.lettaUrl ?? "",
      secrets,
      models,
      remember,
      isForTests,
      beside: usesGateway ? () => gateway.start(servers) : undefined,
    });
  return servers;
}

async function startEmbeddedLetta(options: {
  place: Place;
  port: number;
  databaseUrl: string;
  secrets: Secrets;
  models: Models;
  remember: (name: ServerName) => (process: { pid: number; startedAt: string }) => void;
  isForTests: boolean;
  /** Work to be done while Letta imports itself, which takes most of its start. */
  beside: (() => Promise<void>) | undefined;
}): Promise<void> {
  const { place, port, databaseUrl, secrets, models, beside } = options;
  const letta = {
    place,
    port,
    databaseUrl,
    password: secrets.lettaServer,
    models,
    onLaunch: options.remember("letta"),
  };
  const begin = async () => {
    const databasePort = Number(new URL(databaseUrl).port);
    const migration = newestMigration();
    const isReset = options.isForTests && (await resetLettaDatabase(databasePort, secrets, migration));
    const migrated = await migrateLetta(letta, migration);
    if (options.isForTests && !isReset) await keepLettaTemplate(databasePort, secrets, migration);
    await moveModelEndpoint(place, databaseUrl, models);
    return { migrated, process: await launchLetta(letta) };
  };
  let begun: Awaited<ReturnType<typeof begin>> | undefined;
  if (beside) {
    await step("Letta's data", "migrating", async () => {
      begun = await begin();
      return begun.migrated ? "migrated" : "in order";
    });
    await beside();
  }
  await step("Letta", beside ? "starting" : "migrating its database", async ({ say }) => {
    const { migrated, process } = begun ?? (await begin());
    say("starting");
    await untilLettaReady(letta, process);
    return `${LETTA_VERSION} on 127.0.0.1:${port}${migrated && !beside ? ", database migrated" : ""}`;
  });
}

/** The address of Graphyn's model gateway as Letta is given it. */
function gatewayBase(port: number): string {
  return `http://127.0.0.1:${port}${GATEWAY_PATH}`;
}

/** Inner servers keep the ports they had, where those are still free: Letta's agents remember the dev model's address. */
async function choosePorts(place: Place): Promise<Record<"postgres" | "dev-model" | "letta", number>> {
  const { ports } = readState(place.state);
  const postgres = await keepOrChoosePort(ports.postgres);
  const devModel = await keepOrChoosePort(ports["dev-model"]);
  const letta = await keepOrChoosePort(ports.letta);
  const chosen = { postgres, "dev-model": devModel, letta };
  updateState(place.state, (state) => Object.assign(state.ports, chosen));
  return chosen;
}
