/** Starts the recorded app on this host as a black box, or points at another host that already serves it (CONFORMANCE_URL). */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import path from "node:path";
import pg from "pg";
import { freePort } from "../free-port.js";

const PACKAGE = path.join(import.meta.dirname, "../..");
export const FIXTURE = path.join(PACKAGE, "fixtures/conformance");
const READY_MS = 30_000;
const STEP_MS = 25;

export interface Host {
  url: string;
  /** The process's output so far. */
  output(): string;
  process: ChildProcess | null;
  databaseUrl: string | null;
  stop(): Promise<number | null>;
}

function adminUrl(): string {
  const url = process.env.TEST_DATABASE_URL;
  if (!url)
    throw new Error("Set TEST_DATABASE_URL to a PostgreSQL whose user may create databases, or run ./graphyn test.");
  return url;
}

export async function admin<T>(work: (client: pg.Client) => Promise<T>, url = adminUrl()): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Address of a database that does not exist yet. */
export function freshDatabaseUrl(): string {
  const url = new URL(adminUrl());
  url.pathname = `/encore_node_${randomBytes(6).toString("hex")}`;
  return url.href;
}

export async function dropDatabase(url: string): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  await admin((c) => c.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`));
}

export interface HostOptions {
  app?: string;
  env?: Record<string, string>;
  databaseUrl?: string;
  /** Do not wait until it serves. */
  wait?: boolean;
}

export async function startHost(options: HostOptions = {}): Promise<Host> {
  const databaseUrl = options.databaseUrl ?? freshDatabaseUrl();
  const port = await freePort();
  const child = spawn(
    process.execPath,
    [path.join(PACKAGE, "bin/encore-node.js"), "start", options.app ?? path.join(FIXTURE, "app")],
    {
      env: { ...process.env, DATABASE_URL: databaseUrl, ENCORE_NODE_PORT: port, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  child.stdout.on("data", (d: Buffer) => {
    output += d;
  });
  child.stderr.on("data", (d: Buffer) => {
    output += d;
  });
  const exited = once(child, "exit") as Promise<[number | null]>;
  const host: Host = {
    url: `http://127.0.0.1:${port}`,
    output: () => output,
    process: child,
    databaseUrl,
    async stop() {
      if (child.exitCode === null) child.kill("SIGTERM");
      const [code] = await exited;
      if (!options.databaseUrl) await dropDatabase(databaseUrl);
      return code;
    },
  };
  if (options.wait !== false) await untilReady(host, child);
  return host;
}

async function untilReady(host: Host, child: ChildProcess): Promise<void> {
  for (let waited = 0; waited < READY_MS; waited += STEP_MS) {
    if (child.exitCode !== null) throw new Error(`the host ended before it served:\n${host.output()}`);
    const answer = await fetch(`${host.url}/__encore/healthz`).catch(() => null);
    if (answer?.ok) return;
    await new Promise((r) => setTimeout(r, STEP_MS));
  }
  throw new Error(`the host did not serve within ${READY_MS} ms:\n${host.output()}`);
}

/** The recorded app: ours, or the one at CONFORMANCE_URL. */
export async function recordedApp(): Promise<Host> {
  const url = process.env.CONFORMANCE_URL;
  if (!url) return startHost();
  return { url: url.replace(/\/$/, ""), output: () => "", process: null, databaseUrl: null, stop: async () => 0 };
}
