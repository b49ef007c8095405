import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { keepOrChoosePort } from "../../../launcher/stack/ports";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const AUDIT_KEY = "test-audit-key";
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;
const OUTPUT_CHARS_MAX = 200_000;
/** Of a server that ended by itself. */
const TOLD_CHARS = 8_000;

/** A Graphyn process of a test: the real thing, on its own port. */
export interface Server {
  url: string;
  pid: number;
  /** What it has printed so far, for tests of what it must not print. */
  output(): string;
  /** Sends a signal and resolves when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface ServerConfig {
  databaseUrl: string;
  adminKey: string;
  env?: Record<string, string>;
  port?: number;
  /** Another folder with the application than `backend`: a changed copy of it. */
  app?: string;
}

/** Starts Graphyn as its users do, and resolves when it answers. Rejects with what it printed when it does not come up. */
export async function startServer({
  databaseUrl,
  adminKey,
  env = {},
  port,
  app = "backend",
}: ServerConfig): Promise<Server> {
  const listening = port ?? (await freePort());
  const child = spawn(process.execPath, ["packages/encore-node/bin/encore-node.js", "start", app], {
    cwd: ROOT,
    env: {
      ...process.env,
      ENCORE_NODE_PORT: String(listening),
      ENCORE_NODE_HOST: "127.0.0.1",
      ENCORE_NODE_DB_GRAPHYN: databaseUrl,
      AdminKey: adminKey,
      ApiKeyHashKey: "test-hash-key",
      AuditKey: AUDIT_KEY,
      EmbeddingsApiKey: "test",
      LettaApiKey: process.env.LETTA_API_KEY ?? "",
      EMBEDDINGS_API_BASE: `${process.env.DEV_MODEL_URL ?? ""}/v1`,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const collect = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const url = `http://127.0.0.1:${listening}`;
  await untilHealthy(url, child, () => output);
  // Tests only see that nobody answers any more.
  const tell = (code: number | null, signal: NodeJS.Signals | null) =>
    console.error(
      `Graphyn on ${url} ended by itself (${signal ?? code}). Its last words:\n${output.slice(-TOLD_CHARS)}`,
    );
  child.once("exit", tell);
  return {
    url,
    pid: child.pid ?? 0,
    output: () => output,
    stop(signal = "SIGTERM") {
      child.off("exit", tell);
      return stop(child, signal);
    },
  };
}

async function untilHealthy(url: string, child: ChildProcess, output: () => string): Promise<void> {
  const deadline = Date.now() + START_MS_MAX;
  while (Date.now() < deadline) {
    if (child.exitCode !== null)
      throw new Error(`Graphyn ended with ${child.exitCode} before it was ready:\n${output()}`);
    const healthy = await fetch(`${url}/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (healthy) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  child.kill("SIGKILL");
  throw new Error(`Graphyn was not ready in ${START_MS_MAX} ms:\n${output()}`);
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill(signal);
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
  await gone;
  clearTimeout(late);
}

export const freePort = (): Promise<number> => keepOrChoosePort(undefined);
