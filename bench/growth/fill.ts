/**
 * Databases of each size. Every row is Graphyn's own: a conversation is had through the API, with a real agent, and then copied by the
 * administrator, with other ids and places of the log (backend/__tests__/harness/multiply.ts); only what was said is varied, and its embedding with it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { lengthen, multiply, WHO } from "../../backend/__tests__/harness/multiply";
import { embed } from "../../packages/dev-model/src/embeddings";
import { createAgent, createThread, type Organization, openStream, postAndFollow, postMessage } from "../lib/graphyn";
import type { Phases } from "../lib/phases";

/** Words that the copies are about: so many, that each text is there some ten times in the longest thread. */
const TOPICS = 1_000;
const DIMENSIONS = 1536;
const EXCHANGES = 5;
/** Of the person and of the agent. */
export const MESSAGES_OF_CONVERSATION = 2 * EXCHANGES;
/** Said in so many messages of each place that is searched. */
export const RARE = { word: "samovar", messages: 3 };
/** Said in every message of people. */
export const FREQUENT = "kettle";
const EMBEDDED_MS_MAX = 30_000;
const EMBEDDED_LOOK_MS = 200;
/** The longest statement that looks at something, */
const LOOK_MS_MAX = 20_000;
/** and the longest that fills something in: the index of embeddings. */
const FILL_MS_MAX = 240_000;

export interface Filled {
  organization: Organization;
  threadId: string;
}

/** A thread in which an agent has answered, with ten messages of people and agents. */
export async function haveConversation(organization: Organization, model: string): Promise<string> {
  const { agent_id } = await createAgent(organization.api, model);
  const id = await createThread(organization.api, [agent_id]);
  const stream = await openStream(organization.api, id);
  for (let n = 0; n < EXCHANGES; n++) {
    await postAndFollow(
      organization.api,
      id,
      stream,
      `The ${FREQUENT} of floor ${n} is broken, who repairs number ${n}?`,
    );
  }
  stream.close();
  return id;
}

/** What a search is to find, said through the API. */
export async function sayRare(organization: Organization, threadId: string): Promise<void> {
  for (let n = 0; n < RARE.messages; n++)
    await postMessage(organization.api, threadId, `Bring the ${RARE.word} to room ${n}.`, { mentions: [] });
}

/** A connection of the bench's own. No statement of the bench runs longer than `statementMsMax`: one that does has met a bad plan. */
export async function asClient<T>(
  databaseUrl: string,
  work: (client: pg.Client) => Promise<T>,
  statementMsMax = LOOK_MS_MAX,
): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl, statement_timeout: statementMsMax });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * As administrator: the index of embeddings is dropped and, at the end, built once, which takes a tenth of the time. `check` looks at what was
 * filled in: after the statistics were made anew, because with those of before PostgreSQL takes every table for almost empty.
 */
export async function fill(
  adminUrl: string,
  {
    name,
    say,
    copy,
    check,
  }: { name: string; say: Phases["say"] } & Record<"copy" | "check", (client: pg.Client) => Promise<void>>,
): Promise<void> {
  await asClient(adminUrl, untilEmbedded);
  await asClient(
    adminUrl,
    async (client) => {
      const { rows } = await client.query<{ definition: string }>(
        "select pg_get_indexdef('message_embeddings_hnsw'::regclass) as definition",
      );
      await client.query("set synchronous_commit = off");
      await client.query("drop index message_embeddings_hnsw");
      await client.query("begin");
      await client.query("create temp table topics (n int primary key, word text, v vector) on commit drop");
      const topics = Array.from({ length: TOPICS }, (_, n) => ({ n, word: wordOf(n) }));
      await client.query(
        "insert into topics select n, word, v::vector from jsonb_to_recordset($1::jsonb) as t(n int, word text, v text)",
        [JSON.stringify(topics.map(({ n, word }) => ({ n, word, v: `[${embed(word, DIMENSIONS).join(",")}]` })))],
      );
      await copy(client);
      await client.query("commit");
      say(`${name}: rows copied`);
      await client.query("vacuum analyze");
      say(`${name}: statistics made`);
      await client.query("set maintenance_work_mem = '2GB'");
      await client.query(rows[0]?.definition ?? "");
      say(`${name}: index of embeddings built`);
      await client.query("checkpoint");
    },
    FILL_MS_MAX,
  );
  await asClient(adminUrl, check);
}

/** What copy `k` of a message says besides, and where that moves its embedding. */
const VARY = {
  "messages.content": `t.content || ' ' || (select word from topics where n = k % ${TOPICS})`,
  "message_embeddings.embedding": `l2_normalize(t.embedding + (select v from topics where n = k % ${TOPICS}))`,
};

export async function makeLonger(client: pg.Client, orgId: string, threadId: string, times: number): Promise<void> {
  if (times > 1) await lengthen(client, { orgId, threadId, copies: times - 1, vary: VARY });
}

export async function moreThreads(client: pg.Client, orgId: string, threads: number): Promise<void> {
  if (threads > 1) await multiply(client, { orgId, copies: threads - 1, keep: WHO, slot: 0, vary: VARY });
}

export async function moreOrganizations(client: pg.Client, orgId: string, organizations: number): Promise<void> {
  if (organizations > 1) await multiply(client, { orgId, copies: organizations - 1, keep: [], slot: 0, vary: VARY });
  // Nothing of the copies is in Letta: the reconciler is not to look for it.
  await client.query("update letta_tenants set reconciled_at = now()");
}

/** That a copied thread is a thread as Graphyn writes it: a log without gaps, a message, a turn and a capture wherever the log says so. */
export async function checkThread(client: pg.Client, threadId: string, messages: number): Promise<void> {
  const { rows } = await client.query<Record<string, number>>(
    `select (select last_seq from threads where id = $1)::int as last_seq,
       (select count(*) from thread_log where thread_id = $1)::int as entries, (select max(seq) from thread_log where thread_id = $1)::int as highest,
       (select count(*) from thread_log where thread_id = $1 and kind = 'message')::int as said,
       (select count(*) from messages m join thread_log l using (org_id, thread_id, seq) where thread_id = $1 and l.kind = 'message')::int as messages,
       (select count(*) from messages where thread_id = $1 and sender_type <> 'system')::int as spoken,
       (select count(*) from thread_log where thread_id = $1 and kind = 'turn_completed')::int as completed,
       (select count(*) from turns t join messages m on (m.org_id, m.thread_id, m.turn_id) = (t.org_id, t.thread_id, t.id) and m.seq > t.message_seq
         where t.thread_id = $1 and t.state = 'completed')::int as turns,
       (select count(*) from interaction_captures where thread_id = $1)::int as captures,
       (select count(*) from message_embeddings e join messages m on (m.org_id, m.id) = (e.org_id, e.message_id) where m.thread_id = $1)::int as embedded`,
    [threadId],
  );
  const has = rows[0] ?? {};
  const wanted = [
    has.last_seq === has.entries && has.entries === has.highest,
    has.said === has.messages && has.spoken === messages,
    has.completed === has.turns && has.turns === has.captures && has.turns === messages / 2,
    has.embedded === messages,
  ];
  if (wanted.includes(false)) throw new Error(`a copied thread is not as Graphyn writes one: ${JSON.stringify(has)}`);
}

/** The jobs that embed what was said so far are done: asked of the jobs, because messages without an embedding are found only by looking at all. */
export async function untilEmbedded(client: pg.Client): Promise<void> {
  const late = performance.now() + EMBEDDED_MS_MAX;
  for (;;) {
    const { rows } = await client.query<{ left: number }>(
      "select count(*)::int as left from graphile_worker.jobs where task_identifier = 'embed_message'",
    );
    if (rows[0]?.left === 0) return;
    if (performance.now() > late) throw new Error(`${rows[0]?.left} messages were not embedded`);
    await sleep(EMBEDDED_LOOK_MS);
  }
}

/** A word of syllables, another for each number. */
function wordOf(n: number): string {
  const syllables = ["ba", "do", "fi", "gu", "ke", "lo", "ma", "ni", "po", "ra"];
  return [n % 10, Math.floor(n / 10) % 10, Math.floor(n / 100) % 10, (n * 7) % 10].map((s) => syllables[s]).join("");
}
