import type { Place } from "../paths";
import { step } from "../terminal/progress";
import { dropTestDatabases, ensureDatabases, keepLettaTemplate, resetLettaDatabase } from "./databases";
import { devModelBase, startDevModel } from "./dev-model";
import { installMissing } from "./install";
import { lettaUrl, migrateLetta, startLetta } from "./letta";
import { moveModelEndpoint } from "./letta-endpoints";
import { newestMigration } from "./letta-migrations";
import { chooseModels, type Models } from "./models";
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
}

/** Installs what is missing and starts PostgreSQL, the dev model and Letta, or uses what the user brought. One line a step. */
export async function startServers({ place, secrets, own, env, isForTests = false }: Options): Promise<Servers> {
  const needsPostgres = !own.databaseUrl || !own.letta; // the embedded Letta keeps its database in the embedded server
  await installMissing({ postgres: needsPostgres, letta: !own.letta });

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

  const models = chooseModels(env, devModelBase(ports["dev-model"]));
  if (models.needsDevModel) {
    await step("Dev model", "starting", async () => {
      await startDevModel(place, ports["dev-model"], { record: isForTests, onLaunch: remember("dev-model") });
      return `on 127.0.0.1:${ports["dev-model"]}; not a language model`;
    });
  }
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
    });

  return {
    databaseUrl: own.databaseUrl ?? embedded?.graphynUrl ?? "",
    adminUrl: embedded?.adminUrl,
    lettaUrl: own.letta?.url ?? lettaUrl(ports.letta),
    lettaKey: own.letta?.key ?? secrets.lettaServer,
    models,
    devModelUrl: models.needsDevModel ? `http://127.0.0.1:${ports["dev-model"]}` : undefined,
  };
}

async function startEmbeddedLetta(options: {
  place: Place;
  port: number;
  databaseUrl: string;
  secrets: Secrets;
  models: Models;
  remember: (name: ServerName) => (process: { pid: number; startedAt: string }) => void;
  isForTests: boolean;
}): Promise<void> {
  const { place, port, databaseUrl, secrets, models } = options;
  await step("Letta", "starting", async ({ say }) => {
    const letta = {
      place,
      port,
      databaseUrl,
      password: secrets.lettaServer,
      models,
      onLaunch: options.remember("letta"),
    };
    say("migrating its database");
    const databasePort = Number(new URL(databaseUrl).port);
    const migration = newestMigration();
    const isReset = options.isForTests && (await resetLettaDatabase(databasePort, secrets, migration));
    const migrated = await migrateLetta(letta, migration);
    if (options.isForTests && !isReset) await keepLettaTemplate(databasePort, secrets, migration);
    await moveModelEndpoint(place, databaseUrl, models);
    say("starting");
    await startLetta(letta);
    return `${LETTA_VERSION} on 127.0.0.1:${port}${migrated ? ", database migrated" : ""}`;
  });
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
