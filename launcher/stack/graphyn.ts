import { join } from "node:path";
import { Fault } from "../fault";
import { type Place, ROOT } from "../paths";
import { answersOk } from "./dev-model";
import type { ProcessIdentity } from "./process-identity";
import { end, launch, untilReady } from "./processes";
import { run, tail } from "./run";
import type { Secrets } from "./secrets";

const BUILD_TIMEOUT_MS = 120_000;
const START_TIMEOUT_MS = 60_000;
/** Longer than Graphyn's own drain of running turns. */
const STOP_GRACE_MS = 30_000;
const HOST_PROGRAM = join("packages", "encore-node", "bin", "encore-node.js");
/** What is decided by the launcher: Graphyn gets it by `env` or not at all. Where Letta asks the providers itself, their keys are Letta's alone. */
const NOT_INHERITED = [
  "OPENAI_API_KEY",
  "OPENAI_API_BASE",
  "ANTHROPIC_API_KEY",
  "DEV_MODEL_URL",
  "GRAPHYN_TURN_SOURCE",
  "LETTA_SERVER_PASSWORD",
];

export interface GraphynOptions {
  readonly place: Place;
  readonly host: string;
  readonly port: number;
  readonly databaseUrl: string;
  readonly lettaUrl: string;
  readonly lettaKey: string;
  readonly embeddingsBase: string;
  readonly embeddingsKey: string;
  readonly model: string | undefined;
  readonly secrets: Secrets;
  /** Where turns take their words from, and the model gateway's upstreams (`Models.graphynEnv`). */
  readonly env?: Readonly<Record<string, string>>;
  readonly onLaunch?: (process: ProcessIdentity) => void;
}

/** Compiles the backend if its sources changed. It can run while other servers start. */
export async function buildGraphyn(): Promise<void> {
  const { code, output } = await run(process.execPath, [HOST_PROGRAM, "build", "backend"], {
    cwd: ROOT,
    timeoutMs: BUILD_TIMEOUT_MS,
  });
  if (code !== 0)
    throw new Fault(
      `The backend could not be built.\n${tail(output)}`,
      "Correct what is named above, then run this again.",
    );
}

/**
 * Encore's environment. In the local one errors show their cause, endpoints that are not exposed answer and every origin is allowed: right
 * on one's own machine, and nowhere else.
 */
export function environmentFor(host: string): string {
  return /^(127(\.\d{1,3}){3}|::1|localhost)$/.test(host) ? "local" : "production";
}

/** Secrets that only some need. Outside the local environment one without a value ends the start: so they are empty. */
const OPTIONAL_SECRETS = ["ModelUpstreamKeys", "CLERK_SECRET_KEY", "CLERK_WEBHOOK_SIGNING_SECRET"];

export function optionalSecrets(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(OPTIONAL_SECRETS.map((name) => [name, env[name] ?? ""]));
}

/** Starts Graphyn, which first migrates its database, and waits until it answers. */
export async function startGraphyn(options: GraphynOptions): Promise<ProcessIdentity> {
  const log = join(options.place.logs, "graphyn.log");
  const env: NodeJS.ProcessEnv = { ...process.env };
  for (const name of NOT_INHERITED) delete env[name];
  const graphyn = launch({
    command: process.execPath,
    args: [HOST_PROGRAM, "start", "backend"],
    cwd: ROOT,
    env: {
      ...env,
      ENCORE_NODE_HOST: options.host,
      ENCORE_NODE_ENV: process.env.ENCORE_NODE_ENV || environmentFor(options.host),
      ENCORE_NODE_PORT: String(options.port),
      ENCORE_NODE_DB_GRAPHYN: options.databaseUrl,
      LETTA_API_URL: options.lettaUrl,
      EMBEDDINGS_API_BASE: options.embeddingsBase,
      EMBEDDINGS_API_KEY: options.embeddingsKey,
      ...(options.model ? { GRAPHYN_MODEL: options.model } : {}),
      ...options.env,
      // The secrets of backend/, by name.
      AdminKey: options.secrets.adminKey,
      ApiKeyHashKey: options.secrets.apiKeyHashKey,
      EmbeddingsApiKey: options.embeddingsKey,
      LettaApiKey: options.lettaKey,
      ModelGatewayKey: options.secrets.modelGatewayKey,
      OrgSecretsKey: options.secrets.orgSecretsKey,
      MetricsKey: options.secrets.metricsKey,
      AuditKey: options.secrets.auditKey,
      ...optionalSecrets({ ...process.env, ...options.env }),
    },
    log,
  });
  options.onLaunch?.(graphyn);
  const isReady = () => answersOk(`http://127.0.0.1:${options.port}/health`);
  await untilReady({ name: "Graphyn", process: graphyn, log, timeoutMs: START_TIMEOUT_MS, isReady });
  return graphyn;
}

export function stopGraphyn(graphyn: ProcessIdentity): Promise<boolean> {
  return end(graphyn, "SIGTERM", STOP_GRACE_MS);
}
