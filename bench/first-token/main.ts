/**
 * `npm run bench:first-token`: the time to the first text from the model (M), from Letta called directly (L) and through
 * Graphyn (G), in one run; Letta as started by the launcher against Letta as shipped; and messages accepted a second.
 * Starts a stack of its own. `--rounds N`, `--seed N`, `--loaded-machine-ok`, `--out FOLDER`, `--readme`.
 */
import pg from "pg";
import { readArguments } from "../lib/arguments";
import { type Arm, measure, type Visit } from "../lib/arms";
import { chart } from "../lib/chart";
import { watchOthers } from "../lib/cpu";
import {
  createAgent,
  createOrganization,
  createThread,
  type Organization,
  openStream,
  postAndFollow,
  postMessage,
} from "../lib/graphyn";
import { type Api, call, connect } from "../lib/http";
import { createConversation, forkConversation, sendToConversation } from "../lib/letta";
import { modelArm } from "../lib/model";
import { makePhases } from "../lib/phases";
import { stamp, updateReadme, writeResult } from "../lib/result";
import { type Stack, startGraphyn, startShippedLetta, startStack, withStops } from "../lib/stack";
import { type Passage, startTap, type Tap } from "../lib/tap";
import { measureAccepted } from "./accepted";
import { type Result, report, rowsForChart, summary } from "./report";

const MODEL = "dev-n20";
const LONG_MESSAGES = 100;
const AT_ONCE = 5;
const WARM_UP_ROUNDS = 3;
const ONE_MS_MAX = 130_000;
const FIVE_MS_MAX = 55_000;
const SHIPPED_MS_MAX = 25_000;
const SHIPPED_ROUNDS = 20;
const ACCEPTED_ROUNDS = 5;
const CONVERSATION_MS_MAX = 5_000;
const TEXT = "Good morning, what is on today?";

const args = readArguments({ rounds: 60 });
const header = await stamp("first-token", args.seed, args.loadedMachineOk);
await withStops(run);

async function run(stops: Stack["stops"]): Promise<void> {
  const { say, seconds } = makePhases();
  const stack = await startStack(stops);
  const tap = await startTap(stack.lettaPort);
  stops.push(() => tap.close());
  const graphyn = await startGraphyn(stack, tap.url);
  say("the stack runs");

  const db = new pg.Pool({ connectionString: stack.adminUrl, max: AT_ONCE });
  stops.push(() => db.end());
  const organization = await createOrganization(connect(graphyn.url), graphyn.adminKey);
  const agent = await createAgent(organization.api, MODEL);
  const lettaUser = await one<{ letta_user_id: string }>(
    db,
    "select letta_user_id from letta_tenants where org_id = $1",
    organization.id,
  );
  const headers = { authorization: `Bearer ${stack.secrets.lettaServer}`, user_id: lettaUser.letta_user_id };
  const letta = connect(tap.url, headers);
  const world: World = { db, tap, organization, agent, letta, model: connect(stack.modelUrl), long: [] };
  world.long = await longThreads(world);
  say(`${world.long.length} threads with ${LONG_MESSAGES} messages each`);

  const accounted = { ...stack.pids, graphyn: graphyn.pid, bench: process.pid };
  const usage = watchOthers(Object.values(accounted).filter((pid) => pid !== process.pid));
  const rig = { seed: args.seed, warmUpRounds: WARM_UP_ROUNDS, accounted };
  const oneAtOnce = await measure(arms(world), { ...rig, rounds: args.rounds, atOnce: 1, budgetMs: ONE_MS_MAX });
  say("1 at a time measured");
  const fiveAtOnce = await measure(arms(world), {
    ...rig,
    rounds: Math.ceil(args.rounds / 5),
    atOnce: AT_ONCE,
    budgetMs: FIVE_MS_MAX,
  });
  say(`${AT_ONCE} at a time measured`);
  const accepted = await measureAccepted(organization, stack.adminUrl, {
    seed: args.seed,
    rounds: ACCEPTED_ROUNDS,
    accounted,
  });
  const others = usage();
  say("accepting messages measured");
  const shipped = await measureShipped(stack, world, headers);
  say("Letta as shipped measured");

  const result: Result = {
    ...header,
    model: MODEL,
    versions: {
      letta: (await call<{ version: string }>(letta, "GET", "/v1/health/")).version,
      postgres: (await one<{ version: string }>(db, "select version()")).version.split(" on ", 1)[0] ?? "",
      graphyn: await call<object>(organization.api, "GET", "/health"),
    },
    seconds: seconds(),
    others_cpu_share: others,
    scenarios: [
      { at_once: 1, visits: oneAtOnce },
      { at_once: AT_ONCE, visits: fiveAtOnce },
    ],
    shipped,
    accepted,
  };
  const text = report(result);
  console.log(`\n${text}`);
  writeResult(args.out, "first-token.json", JSON.stringify(result));
  writeResult(args.out, "first-token.md", text);
  writeResult(args.out, "first-token.svg", chart("Time to the first text of an answer", rowsForChart(result)));
  if (args.readme) updateReadme("bench:first-token", summary(result));
  for (const api of [letta, world.model, organization.api]) await api.pool.destroy();
}

interface World {
  db: pg.Pool;
  tap: Tap;
  organization: Organization;
  agent: { agent_id: string; letta_id: string };
  letta: Api;
  model: Api;
  long: { threadId: string; conversationId: string }[];
}

/** The same agent, for both lengths of history: M/0, L/0, G/0, M/100, L/100, G/100. */
function arms(world: World): Arm[] {
  const { letta, agent, organization, model, long } = world;
  const graphynArm = (
    name: string,
    threadOf: (slot: number) => Promise<{ threadId: string; conversationId: string }>,
  ): Arm => ({
    name,
    prepare: async (slot) => {
      const { threadId, conversationId } = await threadOf(slot);
      const stream = await openStream(organization.api, threadId);
      return async () => {
        try {
          const { began, first_text_at, ...sample } = await postAndFollow(organization.api, threadId, stream, TEXT);
          return {
            ...sample,
            parts: { ...sample.parts, ...ownShare(world.tap.take(conversationId), began, first_text_at) },
          };
        } finally {
          stream.close();
        }
      };
    },
  });
  return [
    { ...modelArm(model, MODEL, 0), name: "M/0" },
    {
      name: "L/0",
      prepare: async () => {
        const conversation = await createConversation(letta, agent.letta_id);
        return () => sendToConversation(letta, conversation, TEXT);
      },
    },
    graphynArm("G/0", () => newThread(world)),
    { ...modelArm(model, MODEL, LONG_MESSAGES), name: "M/100" },
    {
      // A fork of the thread's own conversation: the very history that Graphyn's next message will meet.
      name: "L/100",
      prepare: async (slot) => {
        const conversation = await forkConversation(letta, long[slot]?.conversationId ?? "");
        return () => sendToConversation(letta, conversation, TEXT);
      },
    },
    graphynArm("G/100", async (slot) => long[slot] ?? { threadId: "", conversationId: "" }),
  ];
}

/** What Graphyn itself took in this request: all but the time between the tap's two moments. */
function ownShare(passage: Passage | undefined, began: number, firstTextAt: number): Record<string, number> {
  if (passage === undefined) return {};
  const before_ms = passage.requested - began;
  const after_ms = firstTextAt - passage.firstText;
  return { before_ms, after_ms, own_ms: before_ms + after_ms };
}

/** A thread whose Letta conversation is ready, as it is by the time somebody has typed a first message. */
async function newThread({ db, organization, agent }: World): Promise<{ threadId: string; conversationId: string }> {
  const threadId = await createThread(organization.api, [agent.agent_id]);
  const until = performance.now() + CONVERSATION_MS_MAX;
  while (performance.now() < until) {
    const { rows } = await db.query<{ letta_conversation_id: string }>(
      "select letta_conversation_id from agent_conversations where org_id = $1 and thread_id = $2",
      [organization.id, threadId],
    );
    if (rows[0] !== undefined) return { threadId, conversationId: rows[0].letta_conversation_id };
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("the thread's Letta conversation was not made");
}

/** One thread in which 50 people's messages were answered, and exact copies of it, so that 5 can go on at once. */
async function longThreads(world: World): Promise<World["long"]> {
  const { api } = world.organization;
  const first = await newThread(world);
  const stream = await openStream(api, first.threadId);
  for (let i = 0; i < LONG_MESSAGES / 2; i++) {
    await postMessage(
      api,
      first.threadId,
      `!tokens 3\nMessage ${i + 1} of what was said so far, as long as people write.`,
    );
    await stream.until((event) => event.type === "turn_completed");
  }
  stream.close();
  const threads = [first];
  while (threads.length < AT_ONCE) threads.push(await copyThread(world, first));
  return threads;
}

/** Copies a thread's log into a new thread by SQL, and its history in Letta by a fork. To say it all again would take minutes. */
async function copyThread(world: World, source: World["long"][number]): Promise<World["long"][number]> {
  const { db, organization, letta } = world;
  const { threadId } = await newThread(world);
  const conversationId = await forkConversation(letta, source.conversationId);
  const copy = [
    "delete from thread_log where org_id = $1 and thread_id = $2 and $3 <> ''",
    `insert into thread_log (org_id, thread_id, seq, kind, data, created_at)
      select org_id, $2, seq, kind, data, created_at from thread_log where org_id = $1 and thread_id = $3`,
    `insert into messages (org_id, thread_id, seq, id, sender_type, sender_id, sender_name, content, status, created_at)
      select org_id, $2, seq, 'msg_' || md5($2 || id), sender_type, sender_id, sender_name, content, status, created_at
      from messages where org_id = $1 and thread_id = $3`,
    `update threads t set last_seq = s.last_seq from threads s
      where t.org_id = $1 and t.id = $2 and s.org_id = $1 and s.id = $3`,
    `insert into agent_conversations (org_id, thread_id, agent_version_id, letta_conversation_id, heard_seq)
      select org_id, $2, agent_version_id, $4, heard_seq from agent_conversations where org_id = $1 and thread_id = $3
      on conflict (org_id, thread_id, agent_version_id)
      do update set letta_conversation_id = excluded.letta_conversation_id, heard_seq = excluded.heard_seq`,
  ];
  for (const [i, sql] of copy.entries()) {
    const values = [organization.id, threadId, source.threadId];
    await db.query(sql, i === copy.length - 1 ? [...values, conversationId] : values);
  }
  return { threadId, conversationId };
}

/** Both servers on one database, asked directly, by turns. */
async function measureShipped(stack: Stack, world: World, headers: Record<string, string>): Promise<Visit[]> {
  const shipped = await startShippedLetta(stack);
  const arm = (name: string, api: Api): Arm => ({
    name,
    prepare: async () => {
      const conversation = await createConversation(api, world.agent.letta_id);
      return () => sendToConversation(api, conversation, TEXT);
    },
  });
  const started = connect(`http://127.0.0.1:${stack.lettaPort}`, headers);
  const asShipped = connect(shipped.url, headers);
  try {
    return await measure([arm("started", started), arm("shipped", asShipped)], {
      seed: args.seed,
      rounds: SHIPPED_ROUNDS,
      warmUpRounds: WARM_UP_ROUNDS,
      atOnce: 1,
      accounted: { started: stack.pids.letta, shipped: shipped.process.pid },
      budgetMs: SHIPPED_MS_MAX,
    });
  } finally {
    await started.pool.destroy();
    await asShipped.pool.destroy();
  }
}

async function one<T extends object>(db: pg.Pool, sql: string, ...values: unknown[]): Promise<T> {
  const { rows } = await db.query<T>(sql, values);
  if (rows[0] === undefined) throw new Error(`no row: ${sql}`);
  return rows[0];
}
