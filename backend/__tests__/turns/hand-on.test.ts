import { beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { type Context, newAgent, newOrganization, ok, type TestOrganization } from "../harness/organization";
import { ofType, openStream, type Received, turnsEnded } from "../harness/stream";

interface Posted {
  message: { id: string; seq: number };
  turns: { id: string; agent_id: string }[];
}

const ended = (reason: string) => (received: Received[]) =>
  ofType(received, "message").some(({ message }) => message.reason === reason);
const reasons = (received: Received[]) =>
  ofType(received, "message").flatMap(({ message }) => (message.reason === null ? [] : [message.reason]));
const answerers = (received: Received[]) =>
  ofType(received, "message").flatMap(({ message }) => (message.sender_type === "agent" ? [message.sender_name] : []));

describe("agents that address each other", () => {
  let org: TestOrganization;
  let ping: string;
  let pong: string;
  beforeAll(async () => {
    org = await newOrganization();
    [ping, pong] = await Promise.all([asking("Ping", ["Pong"]), asking("Pong", ["Ping"])]);
  });

  /** An agent whose every answer addresses the others: the dev model quotes the first line of its instructions. */
  function asking(name: string, others: string[], model?: string): Promise<string> {
    const asked = others.map((other) => `@${other}`).join(" and ");
    return newAgent(org, name, model, `You are ${name}. Ask ${asked} next.`);
  }
  async function room(agents: string[], exchange_limits: object = {}, more: object = {}): Promise<string> {
    const body = { agents, exchange_limits, turn_policy: "mentioned", ...more };
    return (await ok(org.call<{ thread: { id: string } }>("POST", "/threads", body))).thread.id;
  }
  const say = (id: string, content: string, more: object = {}) =>
    ok(org.call<Posted>("POST", `/threads/${id}/messages`, { content, ...more }));
  const context = async (id: string) => (await ok(org.call<{ context: Context }>("GET", `/threads/${id}`))).context;
  const rows = (id: string) =>
    adminQuery<{ exchange: number; hop: number; state: string }>(
      inject("graphyn").adminUrl,
      "select exchange::int, hop, state from turns where thread_id = $1 order by id",
      [id],
    );

  it.each(["all", "mentioned", "round_robin", "coordinator"])(
    "with the policy %s an agent's answer hands the word to whom it addresses (AGT-1, AGT-2)",
    async (turn_policy) => {
      const planner = await asking("Planner", ["Writer"]);
      const [writer, other] = await Promise.all([newAgent(org, "Writer"), newAgent(org, "Other")]);
      const id = await room([planner, writer, other], {}, { turn_policy, coordinator_id: planner });
      const stream = await openStream(org, id);
      const { message, turns } = await say(id, "How do we begin?", { mentions: [planner] });
      expect(turns.map((turn) => turn.agent_id)).toEqual([planner]);
      const received = await stream.until(turnsEnded(2));
      await stream.close();
      const [planned, written] = ofType(received, "message")
        .map((event) => event.message)
        .filter(({ sender_type }) => sender_type === "agent");
      expect(planned).toMatchObject({ sender_name: "Planner", mentions: [writer], reason: null });
      expect(written).toMatchObject({ sender_name: "Writer", mentions: [] });
      expect(written?.content).toMatch(/^Planner, this is Writer\. You said: “Owner, this is Planner\./);
      expect(ofType(received, "turn_started").map((event) => event.message_id)).toEqual([message.id, planned?.id]);
      expect((await context(id)).running_turns).toEqual([]);
      expect(await rows(id)).toEqual([
        { exchange: message.seq, hop: 0, state: "completed" },
        { exchange: message.seq, hop: 1, state: "completed" },
      ]);
    },
  );

  it("two agents set on each other stop by themselves, the thread is told why once, and a person lets them go on (AGT-2)", async () => {
    const id = await room([ping, pong], { hops: 3 });
    const stream = await openStream(org, id);
    await say(id, "@Ping begin");
    const first = [...(await stream.until(ended("hop_limit")))];
    expect(answerers(first)).toEqual(["Ping", "Pong", "Ping", "Pong"]);
    const last = ofType(first, "message").at(-1)?.message;
    expect(last).toMatchObject({ sender_type: "system", reason: "hop_limit" });
    expect(last?.content).toContain("3 times");
    expect((await context(id)).running_turns).toEqual([]);

    await say(id, "@Pong go on");
    const received = await stream.until(turnsEnded(8));
    await stream.until((all) => reasons(all).length === 2);
    await stream.close();
    expect(answerers(received).slice(4)).toEqual(["Pong", "Ping", "Pong", "Ping"]);
    expect(reasons(received)).toEqual(["hop_limit", "hop_limit"]);
    // The stored messages say the same.
    const { messages } = await ok(
      org.call<{ messages: { reason: string | null }[] }>("GET", `/threads/${id}/messages?limit=500`),
    );
    expect(messages.flatMap(({ reason }) => reason ?? [])).toEqual(["hop_limit", "hop_limit"]);
  });

  it("an answer that a person has given again begins anew, and so do its limits (AGT-2, THR-7)", async () => {
    const id = await room([ping, pong], { hops: 1, turns: 2 });
    const stream = await openStream(org, id);
    await say(id, "begin", { mentions: [ping] });
    const first = [...(await stream.until(ended("hop_limit")))];
    expect(answerers(first)).toEqual(["Ping", "Pong"]);
    const [answer] = ofType(first, "message").filter(({ message }) => message.sender_type === "agent");
    await ok(org.call("POST", `/threads/${id}/messages/${answer?.message.id}/regenerate`, {}));
    const received = await stream.until((all) => reasons(all).length === 2);
    await stream.close();
    expect(answerers(received)).toEqual(["Ping", "Pong", "Ping", "Pong"]);
    expect(reasons(received)).toEqual(["hop_limit", "hop_limit"]);
  });

  it("counts the answers of an exchange, also where agents ask several at once, and tells once (AGT-2)", async () => {
    const trio = await Promise.all([
      asking("Ann", ["Bob", "Cid"]),
      asking("Bob", ["Ann", "Cid"]),
      asking("Cid", ["Ann", "Bob"]),
    ]);
    const id = await room(trio, { hops: 64, turns: 8 });
    const stream = await openStream(org, id);
    const { message } = await say(id, "@Ann begin");
    const received = await stream.until((all) => turnsEnded(8)(all) && ended("turn_limit")(all));
    await stream.close();
    expect(reasons(received)).toEqual(["turn_limit"]);
    expect((await context(id)).running_turns).toEqual([]);
    const turns = await rows(id);
    expect(turns.map(({ state }) => state)).toEqual(Array(8).fill("completed"));
    expect(turns.every(({ exchange }) => exchange === message.seq)).toBe(true);
  });

  it("always puts a person's own question to whom it is for; the limits are on what follows (AGT-2)", async () => {
    const id = await room([ping, pong], { turns: 1 }, { turn_policy: "all" });
    const stream = await openStream(org, id);
    expect((await say(id, "hello both")).turns).toHaveLength(2);
    const received = await stream.until((all) => turnsEnded(2)(all) && ended("turn_limit")(all));
    await stream.close();
    expect(answerers(received).sort()).toEqual(["Ping", "Pong"]);
    expect(reasons(received)).toEqual(["turn_limit"]);
  });

  it("counts the tokens of an exchange (AGT-2)", async () => {
    const id = await room([ping, pong], { tokens: 1 });
    const stream = await openStream(org, id);
    await say(id, "@Ping begin");
    expect(answerers(await stream.until(ended("token_limit")))).toEqual(["Ping"]);
    await stream.close();
  });

  it("cancels what agents still wait to be answered once the tokens are spent (AGT-2)", async () => {
    const slow = await asking("Slow", ["Ping"], "openai-proxy/dev-slow-5000");
    const quick = await asking("Quick", ["Slow"]);
    const id = await room([quick, slow], {}, { turn_policy: "all" });
    const stream = await openStream(org, id);
    await say(id, "hello both");
    // Quick has answered and asked Slow, who is still busy with the person's own question.
    const [first] = ofType(await stream.until(turnsEnded(1)), "turn_completed");
    const { running_turns } = await context(id);
    expect(running_turns.map(({ agent_id, state }) => [agent_id, state])).toEqual([
      [slow, "running"],
      [slow, "queued"],
    ]);
    const tokens = (first?.usage?.total_tokens ?? 0) + 1;
    await ok(org.call("PATCH", `/threads/${id}`, { exchange_limits: { tokens } }));
    const received = await stream.until((all) => turnsEnded(3)(all) && ended("token_limit")(all));
    await stream.close();
    expect(answerers(received)).toEqual(["Quick", "Slow"]);
    expect(ofType(received, "turn_cancelled").map(({ turn_id }) => turn_id)).toEqual([running_turns[1]?.id]);
    expect(reasons(received)).toEqual(["token_limit"]);
    expect((await context(id)).running_turns).toEqual([]);
  });

  it("0 hops keeps agents from answering each other at all (AGT-2)", async () => {
    const id = await room([ping, pong], { hops: 0 });
    const stream = await openStream(org, id);
    await say(id, "@Ping begin");
    const received = await stream.until(ended("hop_limit"));
    await stream.close();
    expect(answerers(received)).toEqual(["Ping"]);
    expect((await rows(id)).map(({ hop }) => hop)).toEqual([0]);
  });

  it("only a whole answer hands the word on: not one that was cancelled, nor one that failed (AGT-2)", async () => {
    const slow = await asking("Slow", ["Pong"], "openai-proxy/dev-rate-10");
    const id = await room([slow, pong]);
    const stream = await openStream(org, id);
    const { turns } = await say(id, "@Slow begin");
    await stream.until((all) => ofType(all, "ai_chunk").length > 2);
    await ok(org.call("POST", `/threads/${id}/turns/${turns[0]?.id}/cancel`));
    await say(id, "!error 400", { mentions: [slow] });
    await stream.until(turnsEnded(2));
    await stream.close();
    expect((await context(id)).running_turns).toEqual([]);
    expect((await rows(id)).map(({ hop }) => hop)).toEqual([0, 0]);
  });

  it("an agent that listens or has left is asked nothing (AGT-2)", async () => {
    const id = await room([ping, pong]);
    const seat = (await context(id)).participants.find((p) => p.agent_id === pong);
    await ok(org.call("PATCH", `/threads/${id}/participants/${seat?.id}`, { role: "listener" }));
    const stream = await openStream(org, id);
    await say(id, "@Ping begin");
    await stream.until(turnsEnded(1));
    await ok(org.call("DELETE", `/threads/${id}/participants/${seat?.id}`));
    await say(id, "@Ping begin");
    const received = await stream.until(turnsEnded(2));
    await stream.close();
    expect(answerers(received)).toEqual(["Ping", "Ping"]);
    // Who listens is addressed all the same, and may be told; who has left is not there.
    const addressed = ofType(received, "message")
      .map(({ message }) => message)
      .filter(({ sender_type }) => sender_type === "agent");
    expect(addressed.map(({ mentions }) => mentions)).toEqual([[pong], []]);
    expect(await rows(id)).toHaveLength(2);
  });
});
