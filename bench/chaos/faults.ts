/** The fault table: what can happen in a round. Each resolves when it is over, with what it was. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { adminQuery } from "../../backend/__tests__/harness/database";
import { holdConnections, holdDisk } from "./exhaust";
import type { Node } from "./node";
import { ANSWER_MS_MAX, say, sayAtOnce } from "./party";
import { standsStill } from "./stood-still";
import { anyOf, askIn, newText, sayIn, type World } from "./world";

type Fault = (world: World) => Promise<string>;

const REPEATS = 50;
const WRITERS_AT_ONCE = 8;
/** Commits of a process until the one of which it never hears. */
const COMMITS_MAX = 15;
const COMMIT_MS_MAX = 5_000;
/** Longer than a lease: a process that was paused for so long has lost its turns, and does not know. */
const PAUSED_MS = [1_000, 11_000] as const;
/** Longer than everything that waits for a process: its clients, its turns' deadlines, the database's patience. */
const PAUSED_LONG_MS = 30_000;
const DATABASE_PAUSED_MS = [1_000, 5_000] as const;
const EXHAUSTED_MS = [2_000, 6_000] as const;
const DOWN_MS = [0, 2_000] as const;
const CLOCK_BACK_MS = 6_000;

export const FAULTS = {
  "kill -9 of Graphyn": (world) => killed(world, anyNode(world), "it was killed"),
  "kill -9 of Graphyn after a commit it never heard of": async (world) => {
    const node = anyNode(world);
    return atCommit(world, node, () => killed(world, node, "it was killed"));
  },
  "connection to PostgreSQL cut after a commit": async (world) =>
    atCommit(world, anyNode(world), async () => "its connection was cut"),
  "Graphyn told to end": async (world) => {
    const node = anyNode(world);
    await node.stop("SIGTERM");
    await node.revive();
    return node.url;
  },
  "Graphyn paused": (world) => paused(world, between(world, PAUSED_MS)),
  "Graphyn paused for long": (world) => paused(world, PAUSED_LONG_MS),
  "clock an hour back": async (world) => {
    const node = anyNode(world);
    node.signal("SIGUSR2");
    await sleep(CLOCK_BACK_MS);
    node.signal("SIGUSR2");
    return `${node.url} for ${seconds(CLOCK_BACK_MS)}`;
  },
  "kill -9 of Letta": async ({ chaos }) => {
    if (!chaos.letta.isUp()) return "it is down";
    const begun = performance.now();
    await chaos.letta.kill();
    await chaos.letta.revive();
    return `back after ${seconds(performance.now() - begun)}`;
  },
  "PostgreSQL restarted": async ({ chaos }) => {
    const begun = performance.now();
    await chaos.postgres.restart();
    return `back after ${seconds(performance.now() - begun)}`;
  },
  "PostgreSQL paused": async (world) => {
    const ms = between(world, DATABASE_PAUSED_MS);
    await world.chaos.postgres.pause(ms);
    return `for ${seconds(ms)}`;
  },
  "PostgreSQL without a free connection": async (world) => {
    const { chaos } = world;
    const ms = between(world, EXHAUSTED_MS);
    // What Graphyn has is cut once nothing else is free, and it finds none in its place.
    const held = await holdConnections(
      chaos.postgres.graphynUrl,
      ms,
      () =>
        adminQuery(
          chaos.adminUrl,
          "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'graphyn' and application_name <> 'chaos'",
        ).catch(() => undefined), // it is being restarted
    );
    return `${held} taken, for ${seconds(ms)}`;
  },
  "disk full": async (world) => {
    const ms = between(world, EXHAUSTED_MS);
    const bytes = await holdDisk(world.chaos.postgres.folder, ms);
    await world.chaos.postgres.revive(); // it ends when it cannot write its own log
    return `${Math.round(bytes / 1024 ** 2)} MiB taken, for ${seconds(ms)}`;
  },
  "model that hangs": (world) => misbehave(world, "!hang"),
  "model that cuts": (world) => misbehave(world, "!cut 7"),
  "model that fails": (world) => misbehave(world, "!error 503"),
  "readers dropped at once": async ({ rooms }) => {
    const readers = rooms.flatMap((room) => room.readers);
    for (const reader of readers) reader.drop();
    return `${readers.length} of them`;
  },
  "one request fifty times at once": async (world) => {
    const room = anyOf(world.rooms, world.random);
    const content = newText(room, world.random);
    const path = `/threads/${room.threadId}/messages`;
    const taken = await sayAtOnce(room.party, { path, content, threadId: room.threadId, times: REPEATS }, world.urls);
    return `${taken} were acknowledged`;
  },
  "many writers on one thread": async (world) => {
    const room = anyOf(world.rooms, world.random);
    const said = await Promise.all(Array.from({ length: WRITERS_AT_ONCE }, () => sayIn(world, room)));
    return `${said.filter((one) => one !== null).length} of ${WRITERS_AT_ONCE} were taken`;
  },
  "turns cancelled": async (world) => {
    const room = anyOf(world.rooms, world.random);
    const answer = await askIn(world, room, "POST", "/cancel", { body: {}, key: randomUUID() });
    return `in ${room.threadId}: ${answer?.status ?? "no answer"}`;
  },
  "message edited": async (world) => {
    const room = anyOf(
      world.rooms.filter(({ taken, misbehaves }) => taken.length > 0 && !misbehaves),
      world.random,
    );
    const path = `/threads/${room.threadId}/messages/${anyOf(room.taken, world.random)}/edit`;
    const content = newText(room, world.random);
    const said = await say(room.party, { path, content, threadId: room.threadId }, world.urls, world.over.signal);
    if (said) room.taken.push(said.message.id);
    return `in ${room.threadId}: ${said ? "taken" : "refused"}`;
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

async function paused(world: World, ms: number): Promise<string> {
  const node = anyNode(world);
  world.wasKilled = true; // its turns are taken over without what it has not stored
  node.signal("SIGSTOP");
  const goesOn = standsStill(node.url);
  await sleep(ms);
  node.signal("SIGCONT");
  goesOn();
  return `${node.url} for ${seconds(ms)}`;
}

async function killed(world: World, node: Node, what: string): Promise<string> {
  world.wasKilled = true;
  await node.stop("SIGKILL");
  const ms = between(world, DOWN_MS);
  await sleep(ms);
  await node.revive();
  return `${node.url}: ${what}`;
}

async function atCommit(world: World, node: Node, then: () => Promise<string>): Promise<string> {
  const count = 1 + Math.floor(world.random() * COMMITS_MAX);
  const late = sleep(COMMIT_MS_MAX).then(() => null);
  const reached = await Promise.race([node.tap.atCommit(count), late]);
  if (reached === null) {
    node.tap.forget();
    return `${node.url}: no commit came`;
  }
  try {
    return `${await then()}, at commit ${count}`;
  } finally {
    reached.done();
  }
}

async function misbehave(world: World, how: string): Promise<string> {
  const room = anyOf(
    world.rooms.filter(({ misbehaves }) => misbehaves),
    world.random,
  );
  const content = `${newText(room, world.random).split("\n").slice(0, 2).join("\n")}\n${how}`;
  const path = `/threads/${room.threadId}/messages`;
  const said = await say(room.party, { path, content, threadId: room.threadId }, world.urls, world.over.signal);
  return said ? "asked" : `not taken in ${seconds(ANSWER_MS_MAX)}`;
}

function anyNode({ chaos, random }: World): Node {
  const up = chaos.nodes.filter((node) => node.pid() !== null);
  return anyOf(up.length > 0 ? up : chaos.nodes, random);
}

function between({ random }: World, [least, most]: readonly [number, number]): number {
  return Math.round(least + random() * (most - least));
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
