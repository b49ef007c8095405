/** One round: clients talk and listen while what the seed has chosen happens; then all is healed, and everything is looked at. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { adminQuery } from "../../backend/__tests__/harness/database";
import { type Finding, judge } from "../../backend/__tests__/harness/oracle";
import { seededRandom } from "../lib/stats";
import { collect } from "./collect";
import { FAULTS, type FaultName } from "./faults";
import { wordsOf } from "./parties";
import type { Party } from "./party";
import { schedule } from "./schedule";
import type { Chaos } from "./stack";
import { anyOf, askIn, makeWorld, type Room, sayIn, type World } from "./world";

export interface RoundOptions {
  seed: number;
  /** How long faults happen. */
  ms: number;
  faults: readonly FaultName[];
  count: number;
  /** What happens, as it happens. */
  say: (text: string) => void;
}

export interface Played {
  seed: number;
  seconds: number;
  timeline: { at_ms: number; what: string }[];
  figures: { posted: number; acknowledged: number; turns: Record<string, number>; entries: number; refused: number };
  findings: Finding[];
}

const WRITE_EVERY_MS = 1_200;
/** More than so many turns waiting in a thread, and its writer waits too. */
const WAITING_MAX = 2;
/** For turns to end once everything is healed: queued ones come one after the other. */
const ENDED_MS_MAX = 120_000;
const CAUGHT_UP_MS_MAX = 30_000;
const WHEN_BUSY = ["enqueue", "enqueue", "enqueue", "interrupt", "steer", "reject"] as const;

export async function playRound(chaos: Chaos, parties: Party[], options: RoundOptions): Promise<Played> {
  const { seed, ms, faults, count } = options;
  const begun = performance.now();
  const timeline: Played["timeline"] = [];
  const note = (what: string) => {
    timeline.push({ at_ms: Math.round(performance.now() - begun), what });
    options.say(what);
  };
  const world = await makeWorld(chaos, parties, seededRandom(seed));
  const writing = world.rooms.map((room) => write(world, room));
  const happening = schedule(seed, { names: faults, count, ms }).map(async ({ at, name }) => {
    await sleep(at);
    note(name);
    note(`${name}: ${await FAULTS[name](world).catch((error: unknown) => `could not be done: ${String(error)}`)}`);
  });
  await sleep(ms);
  await Promise.all(happening);
  world.over.abort();
  await Promise.all(writing);
  note("healing");
  await heal(world);
  const late = await untilEnded(world);
  await untilCaughtUp(world);
  note("everything has ended; looking");
  const history = await collect(world);
  const findings = judge(history, wordsOf(parties));
  for (const text of late) findings.push({ invariant: "I3", text });
  const turns: Record<string, number> = {};
  for (const { state, reason } of history.turns) {
    const how = reason === null ? state : `${state}: ${reason}`;
    turns[how] = (turns[how] ?? 0) + 1;
  }
  return {
    seed,
    seconds: Math.round((performance.now() - begun) / 1000),
    timeline,
    figures: {
      posted: history.posted.length,
      acknowledged: history.posted.filter(({ id }) => id !== null).length,
      turns,
      entries: history.entries.length,
      refused: history.answers.filter(({ status }) => status >= 400).length,
    },
    findings,
  };
}

async function write(world: World, room: Room): Promise<void> {
  const { random, over } = world;
  while (!over.signal.aborted) {
    const when_busy = anyOf(WHEN_BUSY, random);
    const member = room.members[0];
    if (member && !room.misbehaves && random() < 0.3) {
      member.say(`${room.party.canary} ${room.threadId.slice(-6)} ${room.said++}`);
    } else {
      const said = await sayIn(world, room, room.misbehaves ? {} : { when_busy });
      const running = said?.context.running_turns as { id: string }[] | undefined;
      const id = running?.[0]?.id;
      if (id && random() < 0.15) await askIn(world, room, "POST", `/turns/${id}/cancel`, { key: randomUUID() });
      if (running && running.length > WAITING_MAX) await pause(WRITE_EVERY_MS * running.length, over.signal);
    }
    await pause(WRITE_EVERY_MS * (0.5 + random()), over.signal);
  }
}

async function heal({ chaos, rooms }: World): Promise<void> {
  for (const node of chaos.nodes) node.tap.forget();
  await chaos.postgres.revive();
  await Promise.all([...chaos.nodes.map((node) => node.revive()), chaos.letta.revive()]);
  for (const { readers } of rooms) for (const reader of readers) reader.behave();
}

/** Turns that have not ended long after everything was healed, as sentences. */
async function untilEnded({ chaos, rooms }: World): Promise<string[]> {
  const ids = rooms.map(({ threadId }) => threadId);
  const deadline = performance.now() + ENDED_MS_MAX;
  for (;;) {
    const live = await adminQuery<{ id: string; state: string; lease: string }>(
      chaos.adminUrl,
      `select id, state, attempt, (lease_until - now())::text as lease, lease_owner from turns
       where thread_id = any($1) and state in ('queued', 'running') order by id`,
      [ids],
    );
    if (live.length === 0) return [];
    if (performance.now() > deadline)
      return live.map((turn) => `not ended after everything was healed: ${JSON.stringify(turn)}`);
    await sleep(250);
  }
}

/** Readers that do not come to the log's end are the oracle's matter. */
async function untilCaughtUp({ chaos, rooms }: World): Promise<void> {
  const rows = await adminQuery<{ id: string; last_seq: number }>(
    chaos.adminUrl,
    "select id, last_seq::int from threads",
  );
  const last = new Map(rows.map(({ id, last_seq }) => [id, last_seq]));
  const deadline = performance.now() + CAUGHT_UP_MS_MAX;
  const isBehind = () =>
    rooms.some(({ threadId, readers, members }) =>
      [...readers, ...members].some((one) => one.seq() < (last.get(threadId) ?? 0) && one.reading.faults.length === 0),
    );
  while (isBehind() && performance.now() < deadline) await sleep(100);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
