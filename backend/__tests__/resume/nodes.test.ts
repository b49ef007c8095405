import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { entryCursor } from "../../lib/cursor";
import type { LogEntry } from "../../lib/events";
import { readUntilCut } from "../harness/cut-reader";
import { createDatabase, type TestDatabase } from "../harness/database";
import { compared, type Journal, newJournal } from "../harness/journal";
import { newAgent, newOrganization, newThread, ok, type TestOrganization } from "../harness/organization";
import { freePort, type Server, startServer } from "../harness/server";

/**
 * Random conversations with one or two agents on two nodes with one database. Readers are cut at random bytes and come back to either node;
 * a node is stopped or killed in the middle and started again. Afterwards each reader's journal is compared with the log.
 */
const NODES = 2;
const READERS = 3;
/** Conversations at most; fewer where they take longer, but one. */
const RUNS = 8;
const CALM_MS_MAX = 15_000;
const STORY_MS_MAX = 60_000;
/** Within which a dead node's turns have ended, with the time that the next ones need. */
const REST_MS_MAX = 40_000;

const ENDED = ["turn_completed", "turn_cancelled", "agent_error"];

interface Story {
  agents: number;
  /** Milliseconds before each message, and the node that it is sent to. */
  says: { after: number; node: number }[];
  /** For each reader, its connections: after so many bytes it is cut, waits, and goes on at that node. */
  readers: { isNew: boolean; cuts: { bytes: number; pause: number; node: number }[] }[];
}

const node = fc.nat(NODES - 1);
const story: fc.Arbitrary<Story> = fc.record({
  agents: fc.integer({ min: 1, max: 2 }),
  says: fc.array(fc.record({ after: fc.nat(1_500), node }), { minLength: 1, maxLength: 3 }),
  readers: fc.array(
    fc.record({
      isNew: fc.boolean(),
      cuts: fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 3_000 }), pause: fc.nat(200), node }), {
        minLength: 2,
        maxLength: 8,
      }),
    }),
    { minLength: READERS, maxLength: READERS },
  ),
});

describe("readers on two nodes, cut at random", () => {
  const adminKey = randomBytes(8).toString("hex");
  const nodes: Server[] = [];
  const ports: number[] = [];
  let database: TestDatabase;
  let org: TestOrganization;
  let agents: string[];

  async function start(index: number): Promise<void> {
    ports[index] ??= await freePort();
    const port = ports[index];
    nodes[index] = await startServer({ databaseUrl: database.url, adminKey, port });
  }

  beforeAll(async () => {
    database = await createDatabase();
    await start(0);
    await start(1);
    const url = nodes[0]?.url ?? "";
    org = await newOrganization({ url, adminKey, databaseUrl: database.url, adminUrl: database.adminUrl });
    agents = await Promise.all(
      ["openai-proxy/dev-n40-r20", "openai-proxy/dev-n20-r20"].map((model, index) =>
        newAgent(org, `Agent ${index}`, model),
      ),
    );
  });
  afterAll(async () => {
    for (const each of nodes) await each.stop("SIGKILL");
    await database?.drop();
  });

  const say = (threadId: string, at: number) =>
    fetch(`${nodes[at]?.url}/threads/${threadId}/messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${org.apiKey}`, "content-type": "application/json" },
      body: JSON.stringify({ content: "and now?" }),
    }).then(
      (answer) => answer.ok,
      () => false, // this node is down: nobody promised anything
    );

  /** Plays a story while `disturb` does what it does to the nodes; returns the turns of which words may have been lost. */
  async function play(told: Story, disturb: () => Promise<void>, mayLoseWords: boolean): Promise<void> {
    const threadId = await newThread(org, agents.slice(0, told.agents));
    const start = entryCursor(threadId, 0);
    const over = new AbortController();
    const log = newJournal({ cursor: start, seq: 0 });
    const journals = told.readers.map(({ isNew }) => newJournal(isNew ? null : { cursor: start, seq: 0 }));
    const reading = told.readers.map(async ({ cuts }, index) => {
      const journal = journals[index] as Journal;
      for (let turn = 0; !over.signal.aborted; turn++) {
        const cut = cuts[turn % cuts.length] as Story["readers"][number]["cuts"][number];
        const url = nodes[cut.node]?.url ?? "";
        // A reader whose every connection is cut before it was given anything new would never get on: each cut comes later than the last.
        await readUntilCut({ org, threadId, url, journal, cutAfter: cut.bytes + 400 * turn, signal: over.signal });
        await sleep(cut.pause);
      }
    });
    const saying = (async () => {
      for (const { after, node: at } of told.says) {
        await sleep(after);
        await say(threadId, at);
      }
    })();
    await Promise.all([saying, disturb()]);

    // The log itself, read whole once nothing runs any more.
    const until = Date.now() + REST_MS_MAX;
    for (;;) {
      const { context } = await ok(
        org.call<{ context: { running_turns: unknown[]; last_seq: number } }>("GET", `/threads/${threadId}`),
      );
      if (context.running_turns.length === 0) {
        await readUntilCut({
          org,
          threadId,
          url: org.url,
          journal: log,
          cutAfter: null,
          isDone: ({ entries }) => entries.at(-1)?.seq === context.last_seq,
        });
        break;
      }
      if (Date.now() > until) throw new Error(`turns do not end: ${JSON.stringify(context.running_turns)}`);
      await sleep(100);
    }
    const last = log.entries.at(-1)?.seq ?? 0;
    const isWhole = ({ entries, wholeFrom }: Journal) => entries.at(-1)?.seq === last && wholeFrom !== null;
    over.abort();
    await Promise.all(reading);
    for (const journal of journals) {
      for (let tries = 0; !isWhole(journal) && tries < 3; tries++)
        await readUntilCut({ org, threadId, url: org.url, journal, cutAfter: null, isDone: isWhole });
    }
    for (const journal of journals) judge(journal, log.entries, mayLoseWords);
  }

  function judge(journal: Journal, log: LogEntry[], mayLoseWords: boolean): void {
    const { has, should } = compared(journal, log);
    expect(has).toEqual(should);
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1));
    if (!mayLoseWords) expect([...journal.takenBack]).toEqual([]);
    const started = log.filter(({ event }) => event.type === "turn_started").length;
    expect(log.filter(({ event }) => ENDED.includes(event.type)).length).toBeLessThanOrEqual(started);
  }

  it("have every entry once and in order, and words that join to the messages (SSE-4)", async () => {
    const begun = performance.now();
    // Not a property: a story that failed cannot be made smaller, because the machine has its part in it.
    for (const [index, told] of fc.sample(story, { numRuns: RUNS, seed: seedOf("the stories") }).entries()) {
      if (index > 0 && performance.now() - begun > CALM_MS_MAX) break;
      await play(told, async () => undefined, false);
    }
  }, 120_000);

  it(
    "so also when the node that speaks is told to end and comes back (SSE-4)",
    async () => {
      const [told] = fc.sample(story, { numRuns: 1, seed: seedOf("a restart") });
      if (!told) throw new Error("no story");
      await play(
        { ...told, says: [{ after: 0, node: 1 }, ...told.says] },
        async () => {
          await sleep(1_200);
          await nodes[1]?.stop("SIGTERM");
          await start(1);
        },
        true,
      );
    },
    STORY_MS_MAX + REST_MS_MAX,
  );

  it(
    "so also when the node that speaks is killed (SSE-4)",
    async () => {
      const [told] = fc.sample(story, { numRuns: 1, seed: seedOf("a kill") });
      if (!told) throw new Error("no story");
      await play(
        { ...told, says: [{ after: 0, node: 1 }, ...told.says] },
        async () => {
          await sleep(1_200);
          await nodes[1]?.stop("SIGKILL");
          await start(1);
        },
        true,
      );
    },
    STORY_MS_MAX + REST_MS_MAX,
  );
});

/** Printed, so that the same story can be told again: what the machine makes of it differs. */
function seedOf(what: string): number {
  const seed = Number(process.env.RESUME_SEED ?? Date.now() & 0x7fffffff);
  console.log(`seed of ${what}: ${seed}`);
  return seed;
}
