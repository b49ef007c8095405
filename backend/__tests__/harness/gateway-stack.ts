import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { startDevModel } from "dev-model";
import { createDatabase } from "./database";
import { type OwnLetta, startOwnLetta } from "./own-letta";
import { freePort, type ServerConfig, startServer } from "./server";

/** A Graphyn whose model gateway a real Letta asks, with the dev model behind it: what of it tests need, as text that crosses processes. */
export interface GatewayStack {
  /** Graphyn, which Letta asks. Tests start further ones from `config`. */
  url: string;
  config: ServerConfig;
  /** The database as its administrator. */
  adminUrl: string;
  /** Letta's secret for the gateway. */
  gatewayKey: string;
  modelUrl: string;
  letta: OwnLetta;
}

/** What was answered when the stack was asked for. */
type Answer = { stack: GatewayStack } | { error: string };

/**
 * One such stack for all test files of a run, started when the first of them asks: Letta takes 25 s of CPU to start. Served over HTTP,
 * because test files run in processes of their own. `GET /output` is what Graphyn has printed.
 */
export async function serveGatewayStack(): Promise<{ url: string; close(): Promise<void> }> {
  let started: ReturnType<typeof startGatewayStack> | undefined;
  const server = createServer((req, resp) => {
    started ??= startGatewayStack();
    started.then(
      ({ stack, output }) => resp.end(req.url === "/output" ? output() : JSON.stringify({ stack } satisfies Answer)),
      (error: unknown) => resp.end(JSON.stringify({ error: String(error) } satisfies Answer)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await started?.then(
        ({ stop }) => stop(),
        () => undefined,
      );
    },
  };
}

/** Asks for the stack; the first to ask waits for Letta's start. */
export async function gatewayStackAt(url: string): Promise<GatewayStack> {
  const answer = (await (await fetch(url)).json()) as Answer;
  if ("error" in answer) throw new Error(`no Letta behind the gateway: ${answer.error}`);
  return answer.stack;
}

async function startGatewayStack() {
  const cleanUp: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const end of cleanUp.splice(0).reverse()) await end();
  };
  try {
    const model = await startDevModel({ port: 0, record: true });
    cleanUp.push(() => model.close());
    const database = await createDatabase();
    cleanUp.push(database.drop);
    const kept = keptLetta();
    const secret = () => randomBytes(16).toString("hex");
    const gatewayKey = kept?.gatewayKey ?? secret();
    const password = kept?.letta.password ?? secret();
    const lettaPort = kept ? Number(new URL(kept.letta.url).port) : await freePort();
    const config: ServerConfig = {
      databaseUrl: database.url,
      adminKey: secret(),
      env: {
        MODEL_UPSTREAMS: JSON.stringify([{ name: "dev", base_url: `${model.url}/v1`, key_secret: "dev" }]),
        ModelUpstreamKeys: JSON.stringify({ dev: "the-providers-key" }),
        ModelGatewayKey: gatewayKey,
        GRAPHYN_TURN_SOURCE: "gateway",
        LETTA_API_URL: `http://127.0.0.1:${lettaPort}`,
        LettaApiKey: password,
      },
    };
    const server = await startServer(kept ? { ...config, port: kept.graphynPort } : config);
    cleanUp.push(() => server.stop());
    const { stop: stopLetta, ...letta } =
      kept?.letta ?? (await startOwnLetta(lettaPort, password, `${server.url}/internal/models/v1`, gatewayKey));
    cleanUp.push(stopLetta);
    const stack: GatewayStack = {
      url: server.url,
      config,
      adminUrl: database.adminUrl,
      gatewayKey,
      modelUrl: model.url,
      letta,
    };
    return { stack, output: server.output, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface KeptLetta {
  letta: OwnLetta & { stop(): Promise<void> };
  gatewayKey: string;
  /** Where it asks its models. */
  graphynPort: number;
}

/** A Letta that outlives the run, for whoever works on these tests: TEST_GATEWAY_LETTA holds its JSON, without `stop`. */
function keptLetta(): KeptLetta | null {
  const text = process.env.TEST_GATEWAY_LETTA;
  if (!text) return null;
  const kept = JSON.parse(text) as KeptLetta;
  return { ...kept, letta: { ...kept.letta, stop: async () => undefined } };
}
