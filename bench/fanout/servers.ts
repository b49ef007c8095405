/** The two servers that Graphyn is held against, and the readers, each in a process of its own. */
import { type ChildProcess, execFile, fork } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Pool } from "undici";
import { installOnce } from "../../launcher/stack/installed";
import { keepOrChoosePort } from "../../launcher/stack/ports";
import type { Base } from "../lib/stack";
import type { Speak, ToReaders } from "./messages";
import { speak } from "./pace";

export const DURABLE_STREAMS_VERSION = "0.3.7";
const INSTALL_MS_MAX = 120_000;
const ANSWER_MS_MAX = 150_000;
const here = (file: string) => new URL(file, import.meta.url).pathname;

export interface Child {
  pid: number;
  /** Sends a message and resolves with the next one that comes back. */
  ask<T>(message: ToReaders | Speak | null): Promise<T>;
}

/** Something that speaks by itself to groups of readers. */
export interface Rival {
  pid: number;
  urls(groups: number): Promise<string[]>;
  speak(what: Speak): Promise<void>;
}

export function startChild(stops: Base["stops"], file: string, args: string[] = []): Child {
  const child: ChildProcess = fork(here(file), args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  stops.push(async () => void child.kill("SIGTERM"));
  return {
    pid: child.pid ?? 0,
    ask: (message) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`${file} did not answer`)), ANSWER_MS_MAX);
        const done = (answer: unknown) => {
          clearTimeout(late);
          child.off("exit", gone);
          resolve(answer as never);
        };
        const gone = () => reject(new Error(`${file} has ended`));
        child.once("message", done);
        child.once("exit", gone);
        if (message !== null) child.send(message);
      }),
  };
}

export async function startBare(stops: Base["stops"]): Promise<Rival> {
  const child = startChild(stops, "./bare-server.ts");
  const { port } = await child.ask<{ port: number }>(null);
  return {
    pid: child.pid,
    urls: async (groups) => Array.from({ length: groups }, (_, i) => `http://127.0.0.1:${port}/${i}`),
    speak: async (what) => void (await child.ask(what)),
  };
}

export async function startDurable(stops: Base["stops"], { place }: Base): Promise<Rival> {
  const dir = join(place.dir, `durable-streams-${DURABLE_STREAMS_VERSION}`);
  await installOnce(dir, async () => {
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "package.json"), '{"private":true}');
    const args = ["install", "--no-audit", "--no-fund", `@durable-streams/server@${DURABLE_STREAMS_VERSION}`];
    await promisify(execFile)("npm", args, { cwd: dir, timeout: INSTALL_MS_MAX });
  });
  const port = await keepOrChoosePort(undefined);
  const child = startChild(stops, "./durable-server.ts", [dir, String(port)]);
  await child.ask(null);
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 32 });
  stops.push(() => pool.destroy());
  let made = 0;
  let base = 0;
  const send = async (method: "PUT" | "POST", group: number, body?: string) => {
    const path = `/v1/stream/g${group}`;
    const answer = await pool.request({
      method,
      path,
      headers: { "content-type": "application/json" },
      body: body ?? null,
    });
    await answer.body.dump();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode}`);
  };
  return {
    pid: child.pid,
    urls: async (groups) => {
      base = made;
      made += groups;
      for (let group = base; group < made; group++) await send("PUT", group);
      const url = (i: number) => `http://127.0.0.1:${port}/v1/stream/g${base + i}?offset=-1&live=sse`;
      return Array.from({ length: groups }, (_, i) => url(i));
    },
    speak: (what) =>
      speak(what, (group) => {
        const head = `{"at":${Number(process.hrtime.bigint()) / 1e6},"content":"`;
        return send("POST", base + group, `${head}${"x".repeat(Math.max(0, what.chars - head.length - 30))}"}`);
      }),
  };
}
