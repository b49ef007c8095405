import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { type Nodes, startNodes } from "../harness/nodes";
import { type Posted, violations } from "../harness/oracle";
import { newAgent, newThread, type TestOrganization } from "../harness/organization";
import { readResuming } from "../harness/resuming-reader";

const NODES = 3;
/** Half of it is for turns to finish: answers of two seconds do, and those of ten, or thirty seconds without a word, do not. */
const DRAIN_MS = 8_000;
const ENDED_MS_MAX = 120_000;
const POST_EVERY_MS = 2_500;

interface Answered {
  message: { id: string };
  context: { running_turns: unknown[] };
}

describe("a rolling restart of three processes under load", () => {
  let nodes: Nodes;
  let org: TestOrganization;
  beforeAll(async () => {
    nodes = await startNodes(NODES, { ENCORE_NODE_DRAIN_MS: String(DRAIN_MS) });
    org = await nodes.organization();
  });
  afterAll(() => nodes?.stop());

  it("loses nothing that was acknowledged and says nothing twice; every turn ends, every text is whole (SSE-4, THR-6, LET-7)", async () => {
    const urls = () => nodes.nodes.map(({ url }) => url);
    const quick = await newAgent(org, "Quick", "openai-proxy/dev-n40-r20");
    const long = await newAgent(org, "Long", "openai-proxy/dev-n200-r20");
    const silent = await newAgent(org, "Silent", "openai-proxy/dev-slow-30000");
    const rooms = await Promise.all([quick, quick, quick].map((agent) => newThread(org, [agent])));
    // One answer of each kind runs in each process when it is told to end.
    const caught = await Promise.all(
      nodes.nodes.map(async () => ({ long: await newThread(org, [long]), silent: await newThread(org, [silent]) })),
    );
    const threads = [...rooms, ...caught.flatMap((pair) => [pair.long, pair.silent])];
    const readers = threads.flatMap((threadId, index) =>
      [index, index + 1].map((first) => readResuming({ urls, first, threadId, apiKey: org.apiKey })),
    );
    const posted: Posted[] = [];
    let posting = true;
    const send = async (threadId: string, content: string, first: number) => {
      const message: Posted = { threadId, content, id: null };
      posted.push(message);
      const answer = await post(message, first);
      message.id = answer.message.id;
      return answer.context.running_turns.length;
    };
    const posters = rooms.map(async (id, room) => {
      for (let count = 0; posting; count++) {
        const waiting = await send(id, `message ${count} in room ${room}`, room + count);
        await sleep(POST_EVERY_MS * Math.max(1, waiting)); // Letta on a busy machine answers more slowly than people here ask
      }
    });
    /** Repeats one request, somewhere else each time, until somebody acknowledges it. */
    async function post({ threadId, content }: Posted, first: number): Promise<Answered> {
      const key = randomUUID();
      for (let tries = 0; tries < 100; tries++) {
        const url = urls()[(first + tries) % NODES] ?? "";
        const answer = await fetch(`${url}/threads/${threadId}/messages`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${org.apiKey}`,
            "content-type": "application/json",
            "idempotency-key": key,
          },
          body: JSON.stringify({ content }),
          signal: AbortSignal.timeout(10_000),
        }).then(
          async (response) => ({ status: response.status, text: await response.text() }),
          () => null, // nobody there, or the connection broke: whether it was stored is unknown, and the key makes it safe to ask again
        );
        if (answer?.status === 200) return JSON.parse(answer.text) as Answered;
        if (answer && answer.status < 500) throw new Error(`refused: ${answer.status} ${answer.text}`);
        await sleep(100);
      }
      throw new Error("nobody took the message");
    }

    for (const [index, pair] of caught.entries()) {
      await send(pair.long, `talk, process ${index}`, index);
      await send(pair.silent, `think, process ${index}`, index);
      const heard = readers[threads.indexOf(pair.long) * 2];
      await expect.poll(() => heard?.spoken.size, { timeout: 20_000 }).toBe(1);
      const node = nodes.nodes[index];
      await node?.stop("SIGTERM");
      expect(node?.output()).toContain('"stopped"'); // by itself, not killed because it took too long
      await nodes.restart(index);
    }
    posting = false;
    await Promise.all(posters);
    const live = `select id, thread_id, state, attempt, lease_until - now() as lease, now() - started_at as started, now() - queued_at as queued
      from turns where state in ('queued', 'running') order by id`;
    await expect
      .poll(() => adminQuery(nodes.database.adminUrl, live), { timeout: ENDED_MS_MAX, interval: 500 })
      .toEqual([]);
    const last = await adminQuery<{ id: string; last_seq: number }>(
      nodes.database.adminUrl,
      "select id, last_seq::int from threads",
    );
    const lastSeq = new Map(last.map(({ id, last_seq }) => [id, last_seq]));
    await expect
      .poll(() => readers.map((reader) => reader.seq()), { timeout: 10_000 })
      .toEqual(threads.flatMap((id) => [lastSeq.get(id), lastSeq.get(id)]));
    await Promise.all(readers.map((reader) => reader.close()));

    expect(await violations(nodes.database.adminUrl, posted)).toEqual([]);
    expect(posted.filter(({ id }) => id === null)).toEqual([]);
    // What was being said is kept and told as interrupted; what had not begun was answered by another process; nothing ended otherwise.
    const turns = await adminQuery<{ thread_id: string; outcome: string; attempt: number }>(
      nodes.database.adminUrl,
      "select thread_id, state || coalesce(' ' || error_reason, '') as outcome, attempt from turns",
    );
    expect(turns).toHaveLength(posted.length);
    expect(turns.filter(({ outcome }) => !/^(completed|failed interrupted)$/.test(outcome))).toEqual([]);
    for (const pair of caught) {
      const [talked, thought] = [pair.long, pair.silent].map((id) => turns.filter(({ thread_id }) => thread_id === id));
      expect(talked).toMatchObject([{ outcome: "failed interrupted", attempt: 1 }]);
      expect(thought).toHaveLength(1);
      expect(thought?.[0]?.attempt).toBeGreaterThan(1);
    }
    expect(turns.filter(({ outcome }) => outcome === "completed").length).toBeGreaterThan(posted.length / 2);
    for (const reader of readers) {
      expect(reader.faults).toEqual([]);
      expect(reader.connections()).toBeGreaterThan(1); // it was sent away at least once
      for (const [turnId, message] of reader.messages) {
        const heard = reader.spoken.get(turnId);
        if (heard !== undefined) expect(heard).toBe(message.content);
      }
      expect([...reader.spoken.keys()].filter((turnId) => !reader.messages.has(turnId))).toEqual([]);
    }
    const [answers] = await adminQuery<{ contents: string[] }>(
      nodes.database.adminUrl,
      "select array_agg(distinct content) as contents from messages where sender_name = 'Quick' and status = 'complete' and sender_type = 'agent'",
    );
    expect(answers?.contents).toHaveLength(1); // each of them says the same forty words
    expect(answers?.contents[0]).toMatch(/^1 2 3 .* 40$/);
  }, 300_000);
});
