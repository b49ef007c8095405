import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compared, newJournal } from "../../__tests__/harness/journal";
import { type Client, PROCESSES, type Process, THREAD, World } from "../../__tests__/harness/miniature";
import { entryCursor } from "../../lib/cursor";

const RUNS = 1_000;
/** A slow machine tells fewer stories. */
const RUNS_MS_MAX = 12_000;

/** Each entry once and in order; of what was there before a new client came, the messages. Words only lost with a process. */
function check(world: World, { journal }: Client): void {
  const { has, should } = compared(journal, world.log);
  expect(has).toEqual(should);
  for (const turn of journal.takenBack) expect(world.crashed.has(turn)).toBe(true);
  for (const [id, text] of journal.texts) {
    const turn = world.turns.get(id);
    if (turn) expect(text).toBe(turn.text);
  }
}

const word = fc.string({ minLength: 1, maxLength: 4 });
const nat = fc.nat(1_000);
const step = fc.oneof(
  fc.record({ do: fc.constant("post" as const) }),
  fc.record({ do: fc.constant("start" as const), process: fc.nat(PROCESSES - 1) }),
  { weight: 5, arbitrary: fc.record({ do: fc.constant("say" as const), turn: nat, text: word }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("store" as const), turn: nat }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("haunt" as const), turn: nat, text: word }) },
  fc.record({
    do: fc.constant("end" as const),
    turn: nat,
    how: fc.constantFrom("completed" as const, "failed" as const),
  }),
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("publish" as const), process: fc.nat(PROCESSES - 1), which: nat }),
  },
  fc.record({ do: fc.constant("refresh" as const), process: fc.nat(PROCESSES - 1) }),
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("connect" as const), client: nat, process: fc.nat(PROCESSES - 1) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("receive" as const), client: nat, count: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cut" as const), client: nat }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("io" as const), which: nat }) },
  fc.record({ do: fc.constant("crash" as const), process: fc.nat(PROCESSES - 1) }),
  fc.record({ do: fc.constant("stall" as const), process: fc.nat(PROCESSES - 1) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
const pick = <T>(from: readonly T[], which: number): T | undefined => from[which % Math.max(1, from.length)];

function act(world: World, each: Step): void {
  const turn = "turn" in each ? pick([...world.turns.values()], each.turn) : undefined;
  const client = "client" in each ? pick(world.clients, each.client) : undefined;
  switch (each.do) {
    case "post":
      world.append(world.message("hello", null));
      break;
    case "start":
      world.start(each.process);
      break;
    case "say":
      if (turn) world.say(turn, each.text);
      break;
    case "haunt": {
      const zombie = pick(world.zombies, each.turn);
      if (zombie) world.say(zombie, each.text);
      break;
    }
    case "store":
      if (turn) turn.stored = turn.text;
      break;
    case "end":
      if (turn) world.end(turn, each.how);
      break;
    case "publish": {
      const process = world.processes[each.process] as Process;
      const [entry] = process.unpublished.splice(each.which % Math.max(1, process.unpublished.length), 1);
      if (entry) process.channel?.append([entry]);
      break;
    }
    case "refresh":
      void world.refresh(each.process);
      break;
    case "connect":
      if (client) world.connect(client, each.process);
      break;
    case "receive":
      if (client) world.receive(client, each.count);
      break;
    case "cut":
      if (client) world.cut(client);
      break;
    case "io":
      world.io.splice(each.which % Math.max(1, world.io.length), 1)[0]?.();
      break;
    case "crash":
      world.crash(each.process);
      break;
    case "stall":
      world.stall(each.process);
      break;
    default:
      each satisfies never;
  }
}

async function drain(world: World): Promise<void> {
  const last = () => world.clients.every((client) => client.wire.length === 0);
  for (let round = 0; round < 200; round++) {
    for (const resolve of world.io.splice(0)) resolve();
    await settled();
    if (round % 10 === 0) for (const index of world.processes.keys()) void world.refresh(index);
    for (const client of world.clients) world.receive(client, client.wire.length);
    if (world.io.length === 0 && last() && round > 25) return;
  }
  throw new Error("the world does not come to rest");
}

describe("a reader who is cut, moved and resumed at random (SPEC.md)", () => {
  it("has every entry once and in order, and words that join to the messages (SSE-4)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
        const world = new World();
        // The third resumes from before the first entry, so it must have everything.
        const first = { cursor: entryCursor(THREAD, 0), seq: 0 };
        world.clients = [null, null, first].map((from) => ({ connection: null, wire: [], journal: newJournal(from) }));
        const errors: unknown[] = [];
        const onError = (error: unknown) => errors.push(error);
        process.on("unhandledRejection", onError);
        try {
          // Most stories begin with an agent that speaks to somebody.
          for (const each of [0, 1, 2].map((client) => ({ do: "connect", client, process: client % 2 }) as const))
            act(world, each);
          for (let i = 0; i < 6; i++) {
            act(world, { do: "io", which: 0 });
            await settled();
          }
          act(world, { do: "start", process: 0 });
          for (const each of steps) {
            act(world, each);
            await settled();
          }
          for (const client of world.clients) world.connect(client, 0);
          for (const turn of [...world.turns.values()]) turn.stored = turn.text;
          await drain(world);
          expect(errors).toEqual([]);
          for (const client of world.clients) check(world, client);
          for (const turn of [...world.turns.values()]) world.end(turn, "completed");
          await drain(world);
          for (const client of world.clients) check(world, client);
          expect(errors).toEqual([]);
        } finally {
          for (const client of world.clients) world.cut(client);
          for (const resolve of world.io.splice(0)) resolve();
          await settled();
          process.off("unhandledRejection", onError);
        }
      }),
      { numRuns: RUNS, interruptAfterTimeLimit: RUNS_MS_MAX },
    );
  });
});
