import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { type Nodes, startNodes } from "../harness/nodes";
import { type Posted, turnCounts, violations } from "../harness/oracle";
import { newAgent, newThread, type TestOrganization } from "../harness/organization";
import { readResuming } from "../harness/resuming-reader";

const NODES = 3;
/** So short that answers of ten seconds are cut off by it, and those of two are not. */
const DRAIN_MS = 8_000;
const ENDED_MS_MAX = 120_000;

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
    // An answer that ends in time, one that does not, and one that has said nothing when its process ends.
    const pace = [
      { model: "openai-proxy/dev-n40-r20", everyMs: 2_500 },
      { model: "openai-proxy/dev-n40-r20", everyMs: 2_500 },
      { model: "openai-proxy/dev-n200-r20", everyMs: 11_000 },
      { model: "openai-proxy/dev-slow-5000", everyMs: 7_000 },
    ];
    const rooms = await Promise.all(
      pace.map(async ({ model, everyMs }, index) => ({
        everyMs,
        id: await newThread(org, [await newAgent(org, `Agent ${index}`, model)]),
      })),
    );
    const readers = rooms.flatMap(({ id }, index) =>
      [index, index + 1].map((first) => readResuming({ urls, first, threadId: id, apiKey: org.apiKey })),
    );
    const posted: Posted[] = [];
    let posting = true;
    const posters = rooms.map(async ({ id, everyMs }, room) => {
      for (let count = 0; posting; count++) {
        const message: Posted = { threadId: id, content: `message ${count} in room ${room}`, id: null };
        posted.push(message);
        message.id = await post(message, room + count);
        await new Promise((resolve) => setTimeout(resolve, everyMs));
      }
    });
    /** Repeats one request, somewhere else each time, until somebody acknowledges it. */
    async function post({ threadId, content }: Posted, first: number): Promise<string> {
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
        if (answer?.status === 200) return (JSON.parse(answer.text) as { message: { id: string } }).message.id;
        if (answer && answer.status < 500) throw new Error(`refused: ${answer.status} ${answer.text}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error("nobody took the message");
    }

    await new Promise((resolve) => setTimeout(resolve, 3_000));
    for (let index = 0; index < NODES; index++) {
      const node = nodes.nodes[index];
      await node?.stop("SIGTERM");
      expect(node?.output()).toContain('"stopped"'); // by itself, not killed because it took too long
      await nodes.restart(index);
    }
    posting = false;
    await Promise.all(posters);
    await expect
      .poll(
        () =>
          adminQuery(nodes.database.adminUrl, "select id from turns where state in ('queued', 'running')").then(
            (live) => live.length,
          ),
        { timeout: ENDED_MS_MAX, interval: 500 },
      )
      .toBe(0);
    const last = await adminQuery<{ id: string; last_seq: number }>(
      nodes.database.adminUrl,
      "select id, last_seq::int from threads",
    );
    const lastSeq = new Map(last.map(({ id, last_seq }) => [id, last_seq]));
    await expect
      .poll(() => readers.map((reader) => reader.seq()), { timeout: 10_000 })
      .toEqual(rooms.flatMap(({ id }) => [lastSeq.get(id), lastSeq.get(id)]));
    await Promise.all(readers.map((reader) => reader.close()));

    expect(await violations(nodes.database.adminUrl, posted)).toEqual([]);
    expect(posted.length).toBeGreaterThan(20);
    expect(posted.filter(({ id }) => id === null)).toEqual([]);
    const turns = await turnCounts(nodes.database.adminUrl);
    expect(Object.values(turns).reduce((sum, count) => sum + count, 0)).toBe(posted.length);
    expect(Object.keys(turns).filter((outcome) => !/^(completed|failed interrupted)$/.test(outcome))).toEqual([]);
    for (const reader of readers) {
      expect(reader.faults).toEqual([]);
      expect(reader.connections()).toBeGreaterThan(1); // it was sent away at least once
      for (const [turnId, message] of reader.messages) {
        const heard = reader.spoken.get(turnId);
        if (heard !== undefined) expect(heard).toBe(message.content);
      }
      expect([...reader.spoken.keys()].filter((turnId) => !reader.messages.has(turnId))).toEqual([]);
    }
    // Every answer that was completed says what such an answer says.
    const texts = await adminQuery<{ name: string; contents: string[] }>(
      nodes.database.adminUrl,
      "select sender_name as name, array_agg(distinct content) as contents from messages where sender_type = 'agent' and status = 'complete' group by 1",
    );
    for (const { name, contents } of texts.filter(({ name }) => name !== "Agent 3"))
      expect([name, contents.length]).toEqual([name, 1]);
  }, 300_000);
});
