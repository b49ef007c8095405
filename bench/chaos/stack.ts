/** Chaos's own stack: PostgreSQL, a dev model, Letta behind Graphyn's gateway, and two Graphyn processes, each of which can be hurt. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startDevModel } from "dev-model";
import { newLettaDatabase } from "../../backend/__tests__/harness/own-letta";
import { freePort } from "../../backend/__tests__/harness/server";
import { type Place, place as placeOf } from "../../launcher/paths";
import { ensureDatabases, inDatabase } from "../../launcher/stack/databases";
import { installLetta } from "../../launcher/stack/install-letta";
import { installPostgres } from "../../launcher/stack/install-postgres";
import { installUv } from "../../launcher/stack/install-uv";
import { launchLetta, migrateLetta, stopLetta, untilLettaReady } from "../../launcher/stack/letta";
import { chooseModels, GATEWAY_PATH } from "../../launcher/stack/models";
import { initPostgres, startPostgres, stopPostgres } from "../../launcher/stack/postgres";
import { isRunning, type ProcessIdentity } from "../../launcher/stack/process-identity";
import { findPython } from "../../launcher/stack/python";
import { loadSecrets, type Secrets } from "../../launcher/stack/secrets";
import { dataHome } from "../../launcher/stack/server-home";
import { withDatabase } from "../lib/stack";
import { startBalancer } from "./balancer";
import { isSmallDisk } from "./exhaust";
import { type Node, startNode } from "./node";
import { childrenOf, send } from "./processes";

export interface Chaos {
  nodes: Node[];
  /** One address for both, as a load balancer is. */
  front: string;
  adminUrl: string;
  modelUrl: string;
  secrets: Secrets;
  postgres: {
    restart(): Promise<void>;
    /** Starts it if it has ended by itself. */
    revive(): Promise<void>;
    pause(ms: number): Promise<void>;
    pid(): number;
    /** As Graphyn's role, past the taps. */
    graphynUrl: string;
    /** Where its files are, and whether that is a disk that may be filled. */
    folder: string;
    isOnSmallDisk: boolean;
  };
  letta: { kill(): Promise<void>; revive(): Promise<void>; isUp(): boolean };
}

const NODES = 2;
/** A model that hangs is ended by then, so that a run is bounded. */
export const TURN_MS_MAX = 10_000;
const CLOCK = new URL("./shifting-clock.mjs", import.meta.url).href;
/** Processes in one machine's share of connections: Graphyn's pool is ten by itself. */
const POOL = "8";

/**
 * Starts it; `stops` is filled as things start. With a server of the tests' own at hand (`TEST_DATABASE_URL`), Letta's database is made
 * from its template there, which saves ten seconds; else it is in the PostgreSQL that is restarted, too.
 */
export async function startChaos(name: "chaos" | "chaos-test", stops: (() => Promise<unknown>)[]): Promise<Chaos> {
  const place = placeOf(name);
  mkdirSync(place.logs, { recursive: true });
  const uv = await installUv(await findPython());
  await installPostgres(uv);
  await installLetta(uv, () => undefined);
  const secrets = loadSecrets(place.secrets);
  const postgres = await startDatabase(place, secrets, stops);
  const model = await startDevModel({ port: 0, record: true });
  stops.push(() => model.close());

  const ports = [await freePort(), await freePort()].slice(0, NODES);
  const balancer = await startBalancer(ports);
  stops.push(balancer.close);
  const gateway = { base: balancer.url + GATEWAY_PATH, key: secrets.modelGatewayKey };
  const models = chooseModels({}, `${model.url}/v1`, gateway);
  const lettaPort = await freePort();
  const letta = await launchOwnLetta(
    { place, port: lettaPort, databaseUrl: postgres.lettaUrl, models, secrets },
    stops,
  );
  const nodes: Node[] = [];
  for (const port of ports) {
    const node = await startNode(
      {
        databaseUrl: postgres.graphynUrl,
        adminKey: secrets.adminKey,
        port,
        env: {
          ...models.graphynEnv,
          NODE_OPTIONS: `--import=${CLOCK}`,
          ENCORE_NODE_ENV: "production", // what people see elsewhere than on their own machine
          ENCORE_NODE_DB_POOL: POOL,
          GRAPHYN_TURN_MS_MAX: String(TURN_MS_MAX),
          MODEL_FIRST_TOKEN_MS_MAX: String(TURN_MS_MAX),
          MODEL_IDLE_MS_MAX: String(TURN_MS_MAX),
          LETTA_API_URL: `http://127.0.0.1:${lettaPort}`,
          LettaApiKey: secrets.lettaServer,
          EMBEDDINGS_API_BASE: `${model.url}/v1`,
          ApiKeyHashKey: secrets.apiKeyHashKey,
          ModelGatewayKey: secrets.modelGatewayKey,
          ModelUpstreamKeys: "{}",
          CLERK_SECRET_KEY: "", // nobody signs in by Clerk
          CLERK_WEBHOOK_SIGNING_SECRET: "",
          OrgSecretsKey: secrets.orgSecretsKey,
          MetricsKey: secrets.metricsKey,
        },
      },
      join(place.logs, `graphyn-${port}.log`),
    );
    stops.push(node.close);
    nodes.push(node);
  }
  await letta.ready();
  return { nodes, front: balancer.url, adminUrl: postgres.adminUrl, modelUrl: model.url, secrets, postgres, letta };
}

async function startDatabase(place: Place, secrets: Secrets, stops: (() => Promise<unknown>)[]) {
  const port = await freePort();
  await initPostgres(place, secrets.postgresAdmin);
  // Not as other tests start it: what is committed must be on the disk when it is restarted.
  const start = async () => (await startPostgres(place, port, secrets.postgresAdmin)).process;
  let process = await start();
  stops.push(() => stopPostgres(process));
  const server = `postgresql://postgres:${secrets.postgresAdmin}@127.0.0.1:${port}/postgres`;
  await inDatabase(server, async (db) => {
    for (const name of ["graphyn", "letta"]) await db.query(`drop database if exists ${name} with (force)`);
  });
  const { graphynUrl, lettaUrl } = await ensureDatabases(port, secrets);
  let last: Promise<unknown> = Promise.resolve();
  /** Two starts at once would be of one folder. */
  const inTurn = (work: () => Promise<void>) => {
    const mine = last.then(work, work);
    last = mine;
    return mine;
  };
  const template = globalThis.process.env.TEST_DATABASE_URL ? await newLettaDatabase() : null;
  if (template) stops.push(template.drop);
  return {
    graphynUrl,
    lettaUrl: template?.databaseUrl ?? lettaUrl,
    adminUrl: withDatabase(server, "graphyn"),
    pid: () => process.pid,
    folder: dataHome(),
    isOnSmallDisk: await isSmallDisk(dataHome()),
    restart: () =>
      inTurn(async () => {
        await stopPostgres(process);
        process = await start();
      }),
    revive: () =>
      inTurn(async () => {
        if (!isRunning(process)) process = await start();
      }),
    pause: async (ms: number) => {
      // Its backends are processes of their own, which go on without their parent; all of them stand still, as on a machine that does.
      const pids = [process.pid, ...childrenOf(process.pid)];
      for (const pid of pids) send(pid, "SIGSTOP");
      try {
        await sleep(ms);
      } finally {
        for (const pid of pids) send(pid, "SIGCONT");
      }
    },
  };
}

interface OwnLetta {
  place: Place;
  port: number;
  databaseUrl: string;
  models: ReturnType<typeof chooseModels>;
  secrets: Secrets;
}

async function launchOwnLetta({ secrets, ...of }: OwnLetta, stops: (() => Promise<unknown>)[]) {
  const options = { ...of, password: secrets.lettaServer };
  await migrateLetta(options);
  let process: ProcessIdentity = await launchLetta(options);
  let isUp = true;
  stops.push(() => stopLetta(process));
  return {
    ready: () => untilLettaReady(options, process),
    isUp: () => isUp,
    kill: async () => {
      isUp = false;
      send(process.pid, "SIGKILL");
    },
    revive: async () => {
      if (isUp) return;
      isUp = true;
      process = await launchLetta(options);
      await untilLettaReady(options, process);
    },
  };
}
