/** One Graphyn process that is killed, paused and started again, as a supervisor would. */
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Server, type ServerConfig, startServer } from "../../backend/__tests__/harness/server";
import { send } from "./processes";
import { type CommitTap, tapCommits } from "./tap-commits";

export interface Node {
  url: string;
  port: number;
  tap: CommitTap;
  /** Null while it is down. */
  pid(): number | null;
  /** Ends it with a signal and resolves when it is gone. */
  stop(signal: NodeJS.Signals): Promise<void>;
  /** Brings it up if it is down; tries again while it cannot start, as when its database is away. */
  revive(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Everything its processes have printed since the last call. */
  printed(): string;
  close(): Promise<void>;
}

const REVIVE_MS_MAX = 120_000;
const REVIVE_PAUSE_MS = 500;

/** `config` has the database's own port; the process is given the tap's. What it prints is kept in the file `log`, too. */
export async function startNode(config: ServerConfig & { port: number }, log: string): Promise<Node> {
  const database = new URL(config.databaseUrl);
  const postgresPort = Number(database.port);
  const tap = await tapCommits(() => postgresPort);
  database.port = String(tap.port);
  const start = () => startServer({ ...config, databaseUrl: database.href });
  let server: Server | null = await start();
  let reviving: Promise<void> | null = null;
  let before = "";

  async function stop(signal: NodeJS.Signals): Promise<void> {
    const ending = server;
    server = null;
    tap.forget();
    if (!ending) return;
    send(ending.pid, "SIGCONT"); // a stopped process does not hear a signal, but for SIGKILL
    await ending.stop(signal);
    before += ending.output();
  }
  async function untilUp(): Promise<void> {
    for (const deadline = performance.now() + REVIVE_MS_MAX; !server; await sleep(REVIVE_PAUSE_MS)) {
      try {
        server = await start();
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
    }
  }
  return {
    url: `http://127.0.0.1:${config.port}`,
    port: config.port,
    tap,
    pid: () => server?.pid ?? null,
    stop,
    revive: () => {
      reviving ??= untilUp().finally(() => {
        reviving = null;
      });
      return reviving;
    },
    signal: (signal) => {
      if (server) send(server.pid, signal);
    },
    printed: () => {
      const text = before + (server?.output() ?? "");
      before = "";
      appendFileSync(log, text);
      return text;
    },
    close: async () => {
      await stop("SIGTERM");
      await tap.close();
    },
  };
}
