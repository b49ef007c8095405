import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./server";

const START_MS_MAX = 10_000;

/** A real redis-server of a test, with nothing in it. */
export interface RedisServer {
  url: string;
  stop(): Promise<void>;
}

/** Starts the redis-server that `./graphyn test` has installed, or the one that REDIS_SERVER names. */
export async function startRedis(): Promise<RedisServer> {
  const program = process.env.REDIS_SERVER;
  if (!program) throw new Error("REDIS_SERVER names no redis-server: run the tests with ./graphyn test");
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), "graphyn-redis-"));
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no"];
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  await untilListening(port, child);
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: async () => {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.kill("SIGTERM")) await gone;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  let failed: unknown = null;
  child.once("error", (error) => {
    failed = error;
  });
  for (const deadline = Date.now() + START_MS_MAX; Date.now() < deadline; ) {
    if (failed !== null || child.exitCode !== null) throw new Error(`redis-server did not start: ${String(failed)}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true)).on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  child.kill("SIGKILL");
  throw new Error(`redis-server did not listen in ${START_MS_MAX} ms`);
}
