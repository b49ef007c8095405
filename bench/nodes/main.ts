/**
 * `npm run bench:nodes`: two Graphyn processes on one database, hints over PostgreSQL and over Redis: how long after its POST a message
 * reaches readers of the process that took it and of the other one, how much later an agent's words reach the other process than their
 * own, and how many hints each process sends meanwhile. Starts a stack of its own. `--rounds N`, `--seed N`, `--loaded-machine-ok`, `--out FOLDER`, `--readme`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@redis/client";
import { createParser } from "eventsource-parser";
import pg from "pg";
import { installRedis, redisServer } from "../../launcher/stack/install-redis";
import { keepOrChoosePort } from "../../launcher/stack/ports";
import { readArguments } from "../lib/arguments";
import { cpuDifference, cpuSecondsByRole, watchOthers } from "../lib/cpu";
import { createAgent, createOrganization, createThread, postMessage } from "../lib/graphyn";
import { type Api, connect } from "../lib/http";
import { makePhases } from "../lib/phases";
import { stamp, updateReadme, writeResult } from "../lib/result";
import { startGraphyn, startStack, withStops } from "../lib/stack";
import { seededRandom } from "../lib/stats";
import { chartOf, forReadme, type Heard, lateness, type Phase, type Result, report } from "./report";

/** Says 300 tokens, 50 a second. */
const MODEL = "dev-n300-r50";
const SPEAKING = 12;
/** Threads without agents that people write into. */
const ROOMS = 10;
const MESSAGES_PER_SECOND = 20;
/** A phase lasts until all agents have spoken, which takes them six seconds and Letta's time, and at least so long; */
const PHASE_MS_MIN = 8_000;
/** and never longer. */
const PHASE_MS_MAX = 45_000;
/** After the last message, for what is on its way. */
const REST_MS = 1_000;

const args = readArguments({ rounds: 3 });
const header = await stamp("nodes", args.seed, args.loadedMachineOk);
const random = seededRandom(args.seed);
await withStops(run);

interface Event {
  type: string;
  turn_id?: string;
  offset?: number;
  content?: string;
  message?: { content: string };
}

interface Pair {
  carrier: Phase["carrier"];
  apis: [Api, Api];
  urls: [string, string];
  pids: Record<string, number>;
  /** Hears each hint, with who sent it. */
  listen(hear: (from: string) => void): Promise<() => Promise<void>>;
  /** Threads with an agent each, and rooms without one. */
  talks: string[];
  rooms: string[];
}

async function run(stops: (() => Promise<unknown>)[]): Promise<void> {
  const { say, seconds } = makePhases();
  const stack = await startStack(stops);
  await installRedis(stack.uv);
  const redis = await startRedis(stops);
  const lettaUrl = `http://127.0.0.1:${stack.lettaPort}`;
  const pairs: Pair[] = [];
  let organization: Awaited<ReturnType<typeof createOrganization>> | undefined;
  let agent = "";
  for (const carrier of ["PostgreSQL", "Redis"] as const) {
    const env = { ...stack.models.graphynEnv, ...(carrier === "Redis" ? { REDIS_URL: redis.url } : {}) };
    const nodes = [];
    for (const name of ["a", "b"]) nodes.push(await startGraphyn(stack, lettaUrl, { name: `${carrier}_${name}`, env }));
    const [a, b] = nodes as [(typeof nodes)[number], (typeof nodes)[number]];
    organization ??= await createOrganization(connect(a.url), a.adminKey);
    const { headers } = organization.api;
    const apis: [Api, Api] = [connect(a.url, headers), connect(b.url, headers)];
    agent ||= (await createAgent(apis[0], MODEL)).agent_id;
    const make = (count: number, agents: string[]) =>
      Promise.all(Array.from({ length: count }, () => createThread(apis[0], agents)));
    pairs.push({
      carrier,
      apis,
      urls: [a.url, b.url],
      pids: { [`graphyn_${carrier}_a`]: a.pid, [`graphyn_${carrier}_b`]: b.pid },
      listen:
        carrier === "Redis" ? (hear) => listenRedis(redis.url, hear) : (hear) => listenPostgres(stack.adminUrl, hear),
      talks: await make(SPEAKING, [agent]),
      rooms: await make(ROOMS, []),
    });
    say(`two processes with hints over ${carrier}`);
  }
  const others = watchOthers([
    ...Object.values(stack.pids),
    redis.pid,
    ...pairs.flatMap(({ pids }) => Object.values(pids)),
  ]);
  const phases: Phase[] = [];
  for (let round = -1; round < args.rounds; round++) {
    for (const pair of random() < 0.5 ? pairs : pairs.toReversed()) {
      const accounted = { ...pair.pids, postgres: stack.pids.postgres, redis: redis.pid };
      const phase = await measurePhase(pair, round, accounted);
      if (round >= 0) phases.push(phase);
      say(
        `round ${round}, ${pair.carrier}: ${phase.messages.across.length} messages, ${phase.words_later.length} pieces`,
      );
    }
  }
  const result: Result = {
    ...header,
    seconds: seconds(),
    others_cpu_share: others(),
    phases,
  };
  writeResult(args.out, "nodes.json", `${JSON.stringify(result)}\n`);
  const text = report(result);
  console.log(`\n${text}`);
  writeResult(args.out, "nodes.md", text);
  writeResult(args.out, "nodes.svg", chartOf(result));
  if (args.readme) updateReadme("bench:nodes", forReadme(result));
  for (const { apis } of pairs) for (const { pool } of apis) await pool.destroy();
}

async function measurePhase(pair: Pair, round: number, accounted: Record<string, number>): Promise<Phase> {
  const gone = new AbortController();
  let speaking = SPEAKING;
  const heard: [Map<string, Heard>, Map<string, Heard>] = [new Map(), new Map()];
  /** When each message came, by its text, at each process. */
  const came: [Map<string, number>, Map<string, number>] = [new Map(), new Map()];
  for (const node of [0, 1] as const) {
    for (const threadId of [...pair.talks, ...pair.rooms]) {
      await follow(pair.urls[node] + streamOf(threadId), pair.apis[node].headers, gone.signal, (event, arrived) => {
        if (event.type === "ai_chunk" && event.turn_id !== undefined) {
          const pieces = heard[node].get(event.turn_id) ?? [];
          pieces.push({ end: (event.offset ?? 0) + (event.content?.length ?? 0), at: arrived });
          heard[node].set(event.turn_id, pieces);
        } else if (event.type === "turn_completed" || event.type === "agent_error") {
          if (node === 1) speaking--;
        } else if (event.type === "message" && event.message) came[node].set(event.message.content, arrived);
      });
    }
  }
  const hints = new Map<string, number[]>();
  const begun = performance.now();
  const elapsed = () => performance.now() - begun;
  const deaf = await pair.listen((from) => {
    const seconds = hints.get(from) ?? [];
    const second = Math.floor(elapsed() / 1000);
    seconds[second] = (seconds[second] ?? 0) + 1;
    hints.set(from, seconds);
  });
  const before = cpuSecondsByRole(accounted);
  const posts: Promise<unknown>[] = pair.talks.map((id) => postMessage(pair.apis[0], id, `speak, round ${round}`));
  const sent = new Map<string, { node: 0 | 1; at: number }>();
  for (let count = 0; elapsed() < PHASE_MS_MIN || (speaking > 0 && elapsed() < PHASE_MS_MAX); count++) {
    const node = (count % 2) as 0 | 1;
    const content = `${pair.carrier} ${round} ${count}`;
    sent.set(content, { node, at: performance.now() });
    posts.push(postMessage(pair.apis[node], pair.rooms[count % ROOMS] ?? "", content));
    await sleep(Math.max(0, ((count + 1) * 1000) / MESSAGES_PER_SECOND - elapsed()));
  }
  await Promise.all(posts);
  const seconds = elapsed() / 1000;
  const cpu = cpuDifference(cpuSecondsByRole(accounted), before);
  await sleep(REST_MS);
  await deaf();
  gone.abort();
  const messages: Phase["messages"] = { within: [], across: [] };
  for (const [content, { node, at }] of sent) {
    const [near, far] = [came[node].get(content), came[node === 0 ? 1 : 0].get(content)];
    if (near === undefined || far === undefined) throw new Error(`"${content}" did not reach both processes' readers`);
    messages.within.push(tenths(near - at));
    messages.across.push(tenths(far - at));
  }
  // Of the turns of a phase that ended before them, the last pieces come with the message and not as words; they are in neither.
  const words_later = [...heard[0]].flatMap(([turn, near]) => lateness(near, heard[1].get(turn) ?? []).map(tenths));
  return {
    carrier: pair.carrier,
    round,
    seconds: tenths(seconds),
    speaking: SPEAKING,
    messages_per_second: MESSAGES_PER_SECOND,
    messages,
    words_later,
    hints_per_second: [...hints].map(([node, perSecond]) => {
      const counts = Array.from(perSecond, (count) => count ?? 0).slice(0, Math.floor(seconds));
      return {
        node: node.slice(0, 8),
        mean: tenths(counts.reduce((sum, count) => sum + count, 0) / Math.max(1, counts.length)),
        most: Math.max(0, ...counts),
      };
    }),
    cpu_seconds: cpu,
  };
}

function streamOf(threadId: string): string {
  return `/threads/${threadId}/stream`;
}

/** Reads a thread's stream until `signal`; resolves once it has caught up. */
async function follow(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
  hear: (event: Event, arrived: number) => void,
): Promise<void> {
  const response = await fetch(url, { headers, signal });
  if (response.status !== 200 || !response.body)
    throw new Error(`GET stream: ${response.status} ${await response.text()}`);
  let arrived = 0;
  await new Promise<void>((resolve, reject) => {
    let live = false;
    const parser = createParser({
      onEvent: ({ data }) => {
        const event = JSON.parse(data) as Event;
        if (event.type === "caught_up") {
          live = true;
          resolve();
        } else if (live) hear(event, arrived);
      },
    });
    const decoder = new TextDecoder();
    void (async () => {
      for await (const bytes of response.body as AsyncIterable<Uint8Array>) {
        arrived = performance.now();
        parser.feed(decoder.decode(bytes, { stream: true }));
      }
    })().catch((error: unknown) => (signal.aborted ? undefined : reject(error)));
  });
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Who sent a payload: its first field. */
function senderOf(payload: string): string {
  return (JSON.parse(payload) as { from: string }).from;
}

async function listenPostgres(url: string, hear: (from: string) => void): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  client.on("notification", ({ payload = "" }) => hear(senderOf(payload)));
  await client.query("listen graphyn_hints");
  return () => client.end();
}

async function listenRedis(url: string, hear: (from: string) => void): Promise<() => Promise<void>> {
  const client = await createClient({ url, RESP: 2 }).connect();
  const [from] = (await client.xRevRange("graphyn:hints", "+", "-", { COUNT: 1 })) ?? [];
  let at = from?.id ?? "0-0";
  let open = true;
  const reading = (async () => {
    while (open) {
      const streams = (await client.xRead({ key: "graphyn:hints", id: at }, { BLOCK: 200 })) as
        | { messages: { id: string; message: Record<string, string> }[] }[]
        | null;
      for (const { id, message } of streams?.[0]?.messages ?? []) {
        at = id;
        hear(senderOf(message.hints ?? ""));
      }
    }
  })();
  return async () => {
    open = false;
    await reading;
    client.destroy();
  };
}

async function startRedis(stops: (() => Promise<unknown>)[]): Promise<{ url: string; pid: number }> {
  const port = await keepOrChoosePort(undefined);
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  const child: ChildProcess = spawn(redisServer(), args, { stdio: "ignore" });
  stops.push(async () => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.kill()) await ended;
  });
  const url = `redis://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    const client = createClient({ url, socket: { reconnectStrategy: false } });
    client.on("error", () => undefined);
    const isThere = await client.connect().then(
      () => true,
      () => false,
    );
    if (isThere) client.destroy();
    if (isThere) return { url, pid: child.pid ?? 0 };
    if (tries === 100) throw new Error("redis-server does not answer");
    await sleep(50);
  }
}
