import { randomUUID } from "node:crypto";
import { createClient } from "@redis/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { type Nodes, startNodes } from "../harness/nodes";
import { newAgent, newThread, ok, type TestOrganization } from "../harness/organization";
import { startRedis } from "../harness/redis";
import { ofType, openStream, type Received, turnsEnded } from "../harness/stream";

/** So seldom that nothing in these tests is found by the slow look behind the hints. */
const NEVER_MS = String(3_600_000);

interface Carrier {
  env: Record<string, string>;
  /** Says something that no Graphyn has said. */
  forge(payload: string): Promise<unknown>;
  stop(): Promise<unknown>;
}

const CARRIERS: { name: string; start: () => Promise<Omit<Carrier, "forge"> & { forge?: Carrier["forge"] }> }[] = [
  { name: "PostgreSQL", start: async () => ({ env: {}, stop: async () => {} }) },
  {
    name: "Redis",
    start: async () => {
      const redis = await startRedis();
      const client = await createClient({ url: redis.url }).connect();
      return {
        env: { REDIS_URL: redis.url },
        forge: (payload) => client.xAdd("graphyn:hints", "*", { hints: payload }),
        stop: async () => {
          client.destroy();
          await redis.stop();
        },
      };
    },
  },
];

describe.each(CARRIERS)("two Graphyn processes on one database, hints over $name", ({ start }) => {
  let carrier: Carrier;
  let nodes: Nodes;
  let here: TestOrganization;
  let there: TestOrganization;
  let talker: string;
  beforeAll(async () => {
    const started = await start();
    nodes = await startNodes(2, { ...started.env, GRAPHYN_POLL_MS: NEVER_MS });
    const notify = (payload: string) =>
      adminQuery(nodes.database.adminUrl, "select pg_notify('graphyn_hints', $1)", [payload]);
    carrier = { forge: notify, ...started };
    here = await nodes.organization();
    there = nodes.at(here, 1);
    talker = await newAgent(here, "Talker", "openai-proxy/dev-n100-r20");
  });
  afterAll(async () => {
    await nodes?.stop();
    await carrier?.stop();
  });
  const say = (org: TestOrganization, id: string, content: string, key?: string) =>
    org.call<{ message: { id: string; seq: number }; turns: { id: string }[] }>(
      "POST",
      `/threads/${id}/messages`,
      { content },
      key === undefined ? {} : { "idempotency-key": key },
    );

  it("show each other's messages and answers, word by word, the same to readers of both (SSE-3, SSE-4)", async () => {
    const id = await newThread(here, [talker]);
    const [near, far] = [await openStream(here, id), await openStream(there, id)];
    const posted = await ok(say(here, id, "count to a hundred"));
    // It ends in five seconds; by hints alone the words must have come long before.
    await far.until((received) => ofType(received, "ai_chunk").length >= 5);
    expect(ofType(far.received, "turn_completed")).toEqual([]);
    const received = await far.until(turnsEnded(1));
    await near.until(turnsEnded(1));
    expect(durable(received)).toEqual(durable(near.received));
    const answer = ofType(received, "message").find(({ message }) => message.turn_id === posted.turns[0]?.id);
    expect(answer?.message.status).toBe("complete");
    expect(spoken(received)).toBe(answer?.message.content);
    expect(spoken(near.received)).toBe(answer?.message.content);
    await Promise.all([near.close(), far.close()]);
  });

  it("resume each other's readers in mid-answer, without a word lost or said twice (SSE-4)", async () => {
    const id = await newThread(here, [talker]);
    let reader = await openStream(here, id);
    await ok(say(there, id, "count to a hundred"));
    let text = "";
    let cursor: string | undefined;
    const seqs: number[] = [];
    for (let hop = 1; hop <= 4; hop++) {
      const received = await reader.until(
        (got) => turnsEnded(1)(got) || (hop < 4 && ofType(got, "ai_chunk").length >= 4),
      );
      await reader.close();
      text += spoken(received);
      seqs.push(...durable(received).map(({ seq }) => seq));
      cursor = received.findLast((one) => one.id !== undefined)?.id;
      if (turnsEnded(1)(received)) break;
      reader = await openStream(hop % 2 === 0 ? here : there, id, cursor);
    }
    const { messages } = await ok(
      here.call<{ messages: { content: string; turn_id: string | null }[] }>("GET", `/threads/${id}/messages`),
    );
    expect(text).toBe(messages.find(({ turn_id }) => turn_id !== null)?.content);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(new Set(seqs).size).toBe(seqs.length);
  });

  it("stop a turn that runs in the other one, and keep what it said (SSE-6)", async () => {
    const id = await newThread(here, [talker]);
    const far = await openStream(there, id);
    const posted = await ok(say(here, id, "count to a hundred"));
    await far.until((received) => ofType(received, "ai_chunk").length >= 3);
    await ok(there.call("POST", `/threads/${id}/turns/${posted.turns[0]?.id}/cancel`));
    const received = await far.until(turnsEnded(1));
    await far.close();
    expect(ofType(received, "turn_cancelled")).toMatchObject([{ turn_id: posted.turns[0]?.id }]);
    const kept = ofType(received, "message").find(({ message }) => message.turn_id !== null)?.message;
    expect(kept?.status).toBe("cancelled");
    expect(spoken(received)).toBe(kept?.content);
    expect(kept?.content).not.toContain("100");
  });

  it("take one request that reaches both at the same instant as one (THR-6)", async () => {
    const id = await newThread(here, [talker]);
    const key = randomUUID();
    const answers = await Promise.all(
      [here, there, here, there, here, there].map((org) => ok(say(org, id, "only once", key))),
    );
    expect(new Set(answers.map(({ message }) => message.id)).size).toBe(1);
    expect(new Set(answers.map(({ turns }) => turns[0]?.id)).size).toBe(1);
    const turns = await adminQuery(nodes.database.adminUrl, "select id from turns where thread_id = $1", [id]);
    expect(turns).toHaveLength(1);
  });

  it("let an agent answer one message at a time, whichever of them took it in (THR-3)", async () => {
    const quick = await newAgent(here, "Quick", "openai-proxy/dev-n20-r20");
    const id = await newThread(here, [quick]);
    const reader = await openStream(there, id);
    const posted = [];
    for (const [index, org] of [here, there, here, there].entries())
      posted.push(await ok(say(org, id, `message ${index}`)));
    const received = await reader.until(turnsEnded(4), 60_000);
    await reader.close();
    const order = received.flatMap(({ event }) =>
      event.type === "turn_started" || event.type === "turn_completed" ? [`${event.type} ${event.turn_id}`] : [],
    );
    expect(order).toEqual(
      posted.flatMap(({ turns }) => [`turn_started ${turns[0]?.id}`, `turn_completed ${turns[0]?.id}`]),
    );
  });

  it("read for themselves what a hint names: a forged one shows nobody's thread to anybody else (SEC-1)", async () => {
    const id = await newThread(here, [talker]);
    const other = await nodes.organization();
    const theirs = await newThread(other);
    const reader = await openStream(nodes.at(other, 1), theirs);
    await reader.until((received) => ofType(received, "caught_up").length === 1);
    await ok(say(here, id, "a secret"));
    const forged = [
      JSON.stringify({ from: "x", hints: { [other.orgId]: { [id]: "ltpu" }, [here.orgId]: { [theirs]: "ltpu" } } }),
      JSON.stringify({ from: "x", hints: { "'; drop table threads": { "../..": "ltpu" } } }),
      "not even JSON",
    ];
    for (const payload of forged) await carrier.forge(payload);
    await ok(say(other, theirs, "a greeting"));
    const said = (got: Received[]) =>
      ofType(got, "message").flatMap(({ message }) => (message.sender_type === "user" ? [message.content] : []));
    const received = await reader.until((got) => said(got).length > 0);
    await reader.close();
    expect(said(received)).toEqual(["a greeting"]);
    expect(received.filter(({ event }) => event.thread_id !== theirs)).toEqual([]);
  });
});

/** The log's entries among what was received. */
function durable(received: Received[]): { seq: number; type: string }[] {
  return received.flatMap(({ id, event }) =>
    id === undefined || event.type === "ai_chunk" || event.type === "caught_up"
      ? []
      : [{ seq: Number.parseInt(id, 10), type: event.type }],
  );
}

function spoken(received: Received[]): string {
  return ofType(received, "ai_chunk")
    .map((chunk) => chunk.content)
    .join("");
}
