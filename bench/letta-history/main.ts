/**
 * `npm run bench:letta-history`: ways to give each thread its own history in Letta, on a stack of its own.
 * What was found and chosen: docs/decisions/2026-11-22-letta-conversation-per-thread.md.
 */

import { readArguments } from "../lib/arguments";
import { type Arm, byRound, cpuMsPerRequest, measure, samplesOf, type Visit } from "../lib/arms";
import { type Api, call, connect } from "../lib/http";
import {
  createAgent,
  createConversation,
  createTenant,
  forkConversation,
  sendToAgent,
  sendToConversation,
  sendToDefaultConversation,
} from "../lib/letta";
import { markdownTable, ms, stamp, writeResult } from "../lib/result";
import { type Stack, startStack, withStops } from "../lib/stack";
import { pairedDifference, seededRandom, shuffled, summarize } from "../lib/stats";

const MODEL = "dev-n20";
const HISTORY_MESSAGES = 100;
const WARM_UP_ROUNDS = 2;
const SCENARIO_MS_MAX = 45_000;
const CREATIONS = 25;

const args = readArguments({ rounds: 40 });
const header = await stamp("letta-history", args.seed, args.loadedMachineOk);
const user = (content: string) => ({ role: "user", content });
const history = Array.from({ length: HISTORY_MESSAGES }, (_, i) => ({
  role: i % 2 === 0 ? "user" : "assistant",
  content: `Message ${i + 1} of the conversation so far, about as long as people write.`,
}));

await withStops(async (stops) => {
  const stack = await startStack(stops);
  const world = await createWorld(stack);
  const scenarios: { history: number; at_once: number; visits: Visit[] }[] = [];
  for (const [at_once, lengths] of [
    [1, [0, 1, HISTORY_MESSAGES]],
    [5, [0, HISTORY_MESSAGES]],
  ] as const) {
    for (const length of lengths) {
      const visits = await measure(arms(world, length), {
        seed: args.seed,
        rounds: at_once === 1 ? args.rounds : Math.ceil(args.rounds / 4),
        warmUpRounds: WARM_UP_ROUNDS,
        atOnce: at_once,
        accounted: { letta: stack.pids.letta, postgres: stack.pids.postgres },
        budgetMs: SCENARIO_MS_MAX,
      });
      scenarios.push({ history: length, at_once, visits });
      console.log(`history ${length}, ${at_once} at once: done`);
    }
  }

  const creations = await measureCreations(world);
  const names = arms(world, 0).map((arm) => arm.name);
  const rows = scenarios.flatMap(({ history: length, at_once, visits }) =>
    names.map((name) => {
      const first = summarize(samplesOf(visits, name).map((sample) => sample.first_text_ms));
      const more = pairedDifference(byRound(visits, name), byRound(visits, names[0] ?? ""), args.seed);
      const failures = visits.filter((visit) => visit.arm === name).flatMap((visit) => visit.failures);
      return [
        name,
        length,
        at_once,
        first.n,
        ms(first.p50),
        ms(first.p99),
        name === names[0] ? "" : `${ms(more.p50)} (${ms(more.p50_ci95.low)} to ${ms(more.p50_ci95.high)})`,
        cpuMsPerRequest(visits, name).letta?.toFixed(0) ?? "–",
        cpuMsPerRequest(visits, name).postgres?.toFixed(0) ?? "–",
        failures.length,
      ];
    }),
  );
  const table = markdownTable(
    [
      "way",
      "messages before",
      "at once",
      "n",
      "first text p50, ms",
      "p99, ms",
      "paired difference p50 (95 %)",
      "Letta CPU, ms",
      "PostgreSQL CPU, ms",
      "failed",
    ],
    rows,
  );
  const creationTable = markdownTable(
    ["creating", "n", "p50, ms", "p99, ms"],
    Object.entries(creations).map(([name, times]) => {
      const { n, p50, p99 } = summarize(times);
      return [name, n, ms(p50), ms(p99)];
    }),
  );
  console.log(`\n${table}\n\n${creationTable}`);
  writeResult(args.out, "letta-history.md", `${table}\n\n${creationTable}\n`);
  writeResult(
    args.out,
    "letta-history.json",
    JSON.stringify({ ...header, letta_version: world.version, model: MODEL, scenarios, creations_ms: creations }),
  );
  await world.letta.pool.close();
});

interface World {
  letta: Api;
  version: string;
  /** The agent whose conversations are threads. */
  shared: string;
  /** An agent that keeps no history. */
  stateless: string;
}

async function createWorld(stack: Stack): Promise<World> {
  const admin = connect(`http://127.0.0.1:${stack.lettaPort}`, {
    authorization: `Bearer ${stack.secrets.lettaServer}`,
  });
  const letta: Api = { pool: admin.pool, headers: await createTenant(admin, `bench-history-${Date.now()}`) };
  return {
    letta,
    version: (await call<{ version: string }>(letta, "GET", "/v1/health/")).version,
    shared: await createAgent(letta, MODEL),
    stateless: await createAgent(letta, MODEL, { message_buffer_autoclear: true }),
  };
}

/** Each arm makes a new history of the wanted length before the clock starts. */
function arms({ letta, shared, stateless }: World, historyMessages: number): Arm[] {
  const seedWith = historyMessages === 0 ? [] : history.slice(0, historyMessages);
  const seedAgent = async (agentId: string) => {
    if (seedWith.length > 0) await sendToAgent(letta, agentId, [...seedWith.slice(0, -1), user("and then?")]);
    return agentId;
  };
  return [
    {
      name: "conversation per thread",
      prepare: async () => {
        const id = await createConversation(letta, shared);
        if (seedWith.length > 0) {
          await call(letta, "POST", `/v1/conversations/${id}/messages`, {
            messages: [...seedWith.slice(0, -1), user("and then?")],
            streaming: false,
          });
        }
        return () => sendToConversation(letta, id, "Good morning.");
      },
    },
    {
      name: "conversation of an agent that has no other",
      prepare: async () => {
        const id = await createConversation(letta, await createAgent(letta, MODEL));
        if (seedWith.length > 0) {
          await call(letta, "POST", `/v1/conversations/${id}/messages`, {
            messages: [...seedWith.slice(0, -1), user("and then?")],
            streaming: false,
          });
        }
        return () => sendToConversation(letta, id, "Good morning.");
      },
    },
    {
      name: "agent per thread",
      prepare: async () => {
        const id = await seedAgent(await createAgent(letta, MODEL));
        return () => sendToAgent(letta, id, [user("Good morning.")]);
      },
    },
    {
      name: "agent per thread, default conversation",
      prepare: async () => {
        const id = await seedAgent(await createAgent(letta, MODEL));
        return () => sendToDefaultConversation(letta, id, "Good morning.");
      },
    },
    {
      name: "one agent that keeps nothing, history sent along",
      prepare: async () => () => sendToAgent(letta, stateless, [...seedWith, user("Good morning.")]),
    },
  ];
}

async function measureCreations({ letta, shared }: World): Promise<Record<string, number[]>> {
  const seeded = await createConversation(letta, shared);
  await call(letta, "POST", `/v1/conversations/${seeded}/messages`, {
    messages: [...history.slice(0, -1), user("and then?")],
    streaming: false,
  });
  const ways: [string, () => Promise<unknown>][] = [
    ["a conversation", () => createConversation(letta, shared)],
    ["a fork of a conversation with 100 messages", () => forkConversation(letta, seeded)],
    ["an agent", () => createAgent(letta, MODEL)],
    ["an agent with Letta's base tools", () => createAgent(letta, MODEL, { include_base_tools: true })],
  ];
  await call(letta, "POST", "/v1/tools/add-base-tools");
  const random = seededRandom(args.seed);
  const times: Record<string, number[]> = Object.fromEntries(ways.map(([name]) => [name, []]));
  for (let i = -2; i < CREATIONS; i++) {
    for (const [name, create] of shuffled(ways, random)) {
      const begin = performance.now();
      await create();
      if (i >= 0) times[name]?.push(performance.now() - begin);
    }
  }
  return times;
}
