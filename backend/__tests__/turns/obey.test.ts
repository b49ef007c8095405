import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ThreadEvent } from "../../lib/events";
import { type Context, newPerson, ok, type Problem } from "../harness/organization";
import type { Server } from "../harness/server";
import { ofType, type Received, turnsEnded } from "../harness/stream";
import { until } from "../letta/stack";
import {
  type BehindGateway,
  behindGateway,
  START_MS_MAX,
  startBeside,
  type TestThread,
} from "../models/behind-gateway";

interface Posted {
  message: { id: string; seq: number };
  turns: { id: string; agent_id: string; state: string; disposition: string; busy_turn_id: string | null }[];
  context: Context;
}
interface Cancelled {
  turns: { id: string; state: string }[];
  context: Context;
}

/** Said for long, so that only a stop ends it within a test. */
const ENDLESS = "dev-n600-r20";
/** Waits before each step, so that something can happen between two. */
const HESITANT = "dev-slow-1000";
const REMEMBER = '!tool memory_insert {"label":"human","new_string":"likes tea"}';

let behind: BehindGateway;
let other: Server;

beforeAll(async () => {
  behind = await behindGateway();
  other = await startBeside(behind.stack);
}, START_MS_MAX);
afterAll(() => other?.stop());

const post = ({ threadId }: TestThread, content: string, more: object = {}) =>
  behind.org.call<Posted>("POST", `/threads/${threadId}/messages`, { content, ...more });
const turnOf = ({ turns: [turn] }: Posted) => turn ?? { id: "", disposition: "", busy_turn_id: "", state: "" };

/** A thread whose agent is in the middle of an answer. */
async function speaking(model = ENDLESS) {
  const thread = await behind.thread(model);
  const turn = turnOf(await ok(post(thread, `talk for long ${thread.threadId}`)));
  await thread.stream.until((received) => chunksOf(received, turn.id).length > 3);
  return { ...thread, turn: turn.id };
}

/** A thread whose agent is at its first step and will take a further one. */
async function atFirstStep(first = REMEMBER) {
  const thread = await behind.thread(HESITANT, { tools: ["memory_insert"] });
  const turn = turnOf(await ok(post(thread, `${thread.threadId}\n${first}`)));
  await until(async () => (await behind.asked(thread.threadId)).length === 1);
  return { ...thread, turn: turn.id };
}

function chunksOf(received: Received[], turnId: string): string[] {
  return ofType(received, "ai_chunk").flatMap((chunk) => (chunk.turn_id === turnId ? [chunk.content] : []));
}

/** The events of turns, in order, by name. */
function order(received: Received[], names: Record<string, string>): string[] {
  return received.flatMap(({ event }) =>
    "turn_id" in event && event.type !== "ai_chunk" ? [`${event.type} ${names[event.turn_id] ?? event.turn_id}`] : [],
  );
}

const has = (type: ThreadEvent["type"], count: number) => (received: Received[]) =>
  received.filter(({ event }) => event.type === type).length >= count;

describe("cancel", () => {
  it("ends the answer and its spend from any node, for a client that knows the thread only (SSE-6)", async () => {
    const thread = await speaking();
    const elsewhere = behind.at(other.url);
    const loaded = await ok(elsewhere.call<{ context: Context }>("GET", `/threads/${thread.threadId}`));
    expect(loaded.context.running_turns).toMatchObject([{ id: thread.turn, state: "running", cancelling: false }]);

    const answer = await ok(elsewhere.call<Cancelled>("POST", `/threads/${thread.threadId}/cancel`));
    expect(answer.turns).toEqual([{ id: thread.turn, agent_id: expect.any(String), state: "cancelled" }]);
    expect(answer.context.running_turns).toEqual([]);

    const [asked, ...more] = await behind.asked(thread.threadId);
    expect(more).toEqual([]);
    expect(asked).toMatchObject({ client_gone: true });
    expect(asked?.ended_monotonic_ms).not.toBeNull(); // the answer's tokens are all there will be
    expect(asked?.tokens_sent).toBeLessThan(300);

    const received = await thread.stream.until(turnsEnded(1));
    const [said] = ofType(received, "message").filter(({ message }) => message.turn_id === thread.turn);
    expect(said?.message).toMatchObject({ status: "cancelled" });
    expect(chunksOf(received, thread.turn).join("")).toBe(said?.message.content);
    expect(ofType(received, "turn_cancelled")).toMatchObject([
      { turn_id: thread.turn, message_id: said?.message.id, cancelled_by: behind.org.userId, reason: "asked" },
    ]);
    expect(await behind.lastInLetta(thread.threadId, "assistant_message")).toBe(said?.message.content);
    expect(await ok(elsewhere.call<Cancelled>("POST", `/threads/${thread.threadId}/cancel`))).toMatchObject({
      turns: [],
    });
  });

  it("stops every agent of the thread and what waits behind them in one call (SSE-6)", async () => {
    const agents = await Promise.all([behind.agent(ENDLESS), behind.agent(ENDLESS)]);
    const thread = await behind.threadOf(agents.map(({ agent_id }) => agent_id));
    await ok(post(thread, `talk ${thread.threadId}`));
    await ok(post(thread, "and then"));
    await thread.stream.until(has("turn_started", 2));
    const { turns, context } = await ok(behind.org.call<Cancelled>("POST", `/threads/${thread.threadId}/cancel`));
    expect(turns.map(({ state }) => state)).toEqual(["cancelled", "cancelled", "cancelled", "cancelled"]);
    expect(context.running_turns).toEqual([]);
    await thread.stream.until(turnsEnded(4));
    expect(ofType(thread.stream.received, "turn_started")).toHaveLength(2);
    for (const { client_gone } of await behind.asked(thread.threadId)) expect(client_gone).toBe(true);
  });

  it("reaches an agent between a tool call and what it would say after it: nothing more is spent (SSE-6)", async () => {
    const thread = await atFirstStep();
    await until(async () => (await behind.asked(thread.threadId)).length === 2);
    await ok(behind.org.call("POST", `/threads/${thread.threadId}/turns/${thread.turn}/cancel`));
    await thread.stream.until(turnsEnded(1));
    const asked = await behind.asked(thread.threadId);
    expect(asked.at(-1)).toMatchObject({ client_gone: true, tokens_sent: 0 });
    expect(asked).toHaveLength(2);
    const { turns } = await ok(post(thread, `${thread.threadId}\n!say still here`));
    await thread.stream.until(turnsEnded(2), 60_000);
    expect(chunksOf(thread.stream.received, turns[0]?.id ?? "").join("")).toBe("still here");
  });

  it("is not what leaving is: an answer that nobody reads is completed (SSE-6)", async () => {
    const thread = await speaking("dev-n40-r20");
    await thread.stream.close();
    const ended = () =>
      ok(behind.org.call<{ context: Context }>("GET", `/threads/${thread.threadId}`)).then(
        ({ context }) => context.running_turns.length === 0,
      );
    await until(ended);
    const { messages } = await ok(
      behind.org.call<{ messages: { content: string; status: string }[] }>(
        "GET",
        `/threads/${thread.threadId}/messages?order=desc&limit=1`,
      ),
    );
    expect(messages).toMatchObject([
      { status: "complete", content: Array.from({ length: 40 }, (_, at) => at + 1).join(" ") },
    ]);
    expect(await behind.asked(thread.threadId)).toMatchObject([{ client_gone: false, tokens_sent: 40 }]);
  });
});

describe("a message to an agent that is answering", () => {
  it("interrupts: what was said is kept, and the new answer follows (SSE-6, THR-3)", async () => {
    const thread = await speaking();
    const posted = await ok(post(thread, "!say I stopped", { when_busy: "interrupt" }));
    const next = turnOf(posted);
    expect(next).toMatchObject({ disposition: "interrupting", busy_turn_id: thread.turn, state: "queued" });
    expect(posted.context.running_turns).toMatchObject([
      { id: thread.turn, cancelling: true },
      { id: next.id, cancelling: false },
    ]);
    const received = await thread.stream.until(turnsEnded(2), 60_000);
    expect(order(received, { [thread.turn]: "first", [next.id]: "second" })).toEqual([
      "turn_started first",
      "turn_cancelled first",
      "turn_started second",
      "turn_completed second",
    ]);
    expect(ofType(received, "turn_cancelled")).toMatchObject([
      { cancelled_by: behind.org.userId, reason: "interrupted", message_id: expect.any(String) },
    ]);
    expect(chunksOf(received, next.id).join("")).toBe("I stopped");
    expect(await behind.asked(`talk for long ${thread.threadId}`, "I stopped")).toHaveLength(1);
    expect((await behind.asked(`talk for long ${thread.threadId}`))[0]).toMatchObject({ client_gone: true });
  });

  it("interrupts what has not begun yet as well: of three in a row the last is answered (SSE-6)", async () => {
    const thread = await speaking();
    const turns = [];
    for (const content of ["!say one", "!say two", "!say three"])
      turns.push(turnOf(await ok(post(thread, content, { when_busy: "interrupt" }))));
    const received = await thread.stream.until(turnsEnded(4), 60_000);
    expect(ofType(received, "turn_completed")).toMatchObject([{ turn_id: turns[2]?.id }]);
    expect(ofType(received, "turn_cancelled").map(({ turn_id }) => turn_id)).toEqual(
      expect.arrayContaining([thread.turn, turns[0]?.id, turns[1]?.id]),
    );
    // What was not answered was heard.
    const [asked] = await behind.asked(thread.threadId, "!say three");
    expect(JSON.stringify(asked?.body.messages.at(-1))).toMatch(/!say one.*!say two.*!say three/);
  });

  it("is refused with `reject`, and not said; another agent does not matter (SSE-6, THR-5)", async () => {
    const [busy, idle] = await Promise.all([behind.agent(ENDLESS), behind.agent("dev")]);
    const thread = await behind.threadOf([busy.agent_id, idle.agent_id]);
    const first = turnOf(await ok(post(thread, "talk", { mentions: [busy.agent_id] })));
    const before = await ok(behind.org.call<{ context: Context }>("GET", `/threads/${thread.threadId}`));
    const refused = await behind.org.call<Problem>("POST", `/threads/${thread.threadId}/messages`, {
      content: "not said",
      when_busy: "reject",
    });
    expect([refused.status, refused.body.code]).toEqual([409, "aborted"]);
    expect(refused.body.details).toMatchObject({
      reason: "agent_busy",
      running_turns: [{ id: first.id, agent_id: busy.agent_id }],
      context: { thread: { id: thread.threadId } },
    });
    const { messages } = await ok(
      behind.org.call<{ messages: { content: string }[] }>("GET", `/threads/${thread.threadId}/messages`),
    );
    expect(messages.map(({ content }) => content)).not.toContain("not said");
    expect(before.context.running_turns.map(({ id }) => id)).toEqual([first.id]);
    const said = await ok(post(thread, "!say yes", { when_busy: "reject", mentions: [idle.agent_id] }));
    expect(turnOf(said)).toMatchObject({ agent_id: idle.agent_id, disposition: "starting", busy_turn_id: null });
    await ok(behind.org.call("POST", `/threads/${thread.threadId}/cancel`));
  });

  it("does what the thread says, unless it says otherwise itself (SSE-6)", async () => {
    const { agent_id } = await behind.agent(ENDLESS);
    const made = await ok(
      behind.org.call<{ thread: { id: string; when_busy: string } }>("POST", "/threads", {
        agents: [agent_id],
        when_busy: "reject",
      }),
    );
    expect(made.thread.when_busy).toBe("reject");
    const path = `/threads/${made.thread.id}`;
    const say = (more: object = {}) =>
      behind.org.call<Posted>("POST", `${path}/messages`, { content: "talk", ...more });
    const first = turnOf(await ok(say()));
    expect((await say()).status).toBe(409);
    expect(turnOf(await ok(say({ when_busy: "enqueue" })))).toMatchObject({
      disposition: "enqueued",
      busy_turn_id: first.id,
    });
    const patched = await ok(
      behind.org.call<{ thread: { when_busy: string } }>("PATCH", path, { when_busy: "enqueue" }),
    );
    expect(patched.thread.when_busy).toBe("enqueue");
    expect(turnOf(await ok(say()))).toMatchObject({ disposition: "enqueued" });
    expect((await behind.org.call("PATCH", path, { when_busy: "perhaps" })).status).toBe(400);
    await ok(behind.org.call("POST", `${path}/cancel`));
  });
});

describe("a message that steers", () => {
  it("is in what the model is asked next, and its answer answers both (SSE-6, LET-6)", async () => {
    const thread = await atFirstStep();
    const second = turnOf(await ok(post(thread, `and saffron ${thread.threadId}`, { when_busy: "steer" })));
    expect(second).toMatchObject({ disposition: "steering", busy_turn_id: thread.turn });
    const received = await thread.stream.until(turnsEnded(2), 60_000);
    const names = { [thread.turn]: "first", [second.id]: "second" };
    expect(order(received, names)).toEqual([
      "turn_started first",
      "turn_joined second",
      "turn_completed first",
      "turn_completed second",
    ]);
    const [one, both] = ofType(received, "turn_completed");
    expect(both).toMatchObject({ joined_turn_id: thread.turn, message_id: one?.message_id, usage: null });

    const asked = await behind.asked(thread.threadId);
    expect(asked).toHaveLength(2);
    expect(JSON.stringify(asked[0]?.body)).not.toContain("and saffron");
    expect(asked[1]?.body.messages.slice(-2)).toMatchObject([
      { role: "tool" },
      { role: "user", content: `and saffron ${thread.threadId}` },
    ]);
    expect(chunksOf(received, thread.turn).join("")).toContain("and saffron");

    // Letta hears of it with the next message, and that it was answered; nothing was asked ahead without it.
    await thread.ask(`!say bye ${thread.threadId}`);
    await thread.stream.until(turnsEnded(3), 60_000);
    const last = (await behind.inLetta(thread.threadId)).filter((m) => m.message_type === "user_message").at(-1);
    expect(last?.content).toContain(`role="person">and saffron ${thread.threadId}</message>`);
    expect(last?.content).toContain("your answer above");
    expect((await behind.calls(thread.threadId)).map(({ purpose }) => purpose)).not.toContain("guess");
  });

  it("stays where it came in for all further steps; several keep their order (SSE-6, THR-3)", async () => {
    const thread = await atFirstStep();
    await ok(post(thread, `cardamom ${thread.threadId}`, { when_busy: "steer" }));
    await ok(
      behind.at(other.url).call("POST", `/threads/${thread.threadId}/messages`, {
        content: `${thread.threadId}\n${REMEMBER.replace("tea", "cinnamon")}`,
        when_busy: "steer",
      }),
    );
    await until(async () => (await behind.asked(thread.threadId)).length === 2);
    await ok(post(thread, `!say last ${thread.threadId}`, { when_busy: "steer" }));
    await thread.stream.until(turnsEnded(4), 60_000);
    const asked = await behind.asked(thread.threadId);
    expect(asked).toHaveLength(3);
    const roles = (asked.at(-1)?.body.messages ?? []).slice(1) as { role: string; content?: string }[];
    expect(roles.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "tool",
      "user",
      "user",
      "assistant",
      "tool",
      "user",
    ]);
    expect(asked[2]?.body.messages.slice(0, 6)).toEqual(asked[1]?.body.messages);
    expect(roles[3]?.content).toContain("cardamom");
    expect(roles[4]?.content).toContain("cinnamon");
    expect(ofType(thread.stream.received, "turn_joined")).toHaveLength(3);
  });

  it("is answered by a turn of its own when there is no further step (SSE-6, THR-3)", async () => {
    const thread = await speaking("dev-n40-r20");
    const second = turnOf(await ok(post(thread, "!say after all", { when_busy: "steer" })));
    expect(second.disposition).toBe("steering");
    const received = await thread.stream.until(turnsEnded(2), 60_000);
    expect(order(received, { [thread.turn]: "first", [second.id]: "second" })).toEqual([
      "turn_started first",
      "turn_completed first",
      "turn_started second",
      "turn_completed second",
    ]);
    expect(chunksOf(received, second.id).join("")).toBe("after all");
  });

  it("ends with the answer that it joined when that is stopped, and is named beside it (SSE-6)", async () => {
    const thread = await atFirstStep();
    const second = turnOf(await ok(post(thread, "wait", { when_busy: "steer" })));
    await thread.stream.until(has("turn_joined", 1));
    const { turn } = await ok(
      behind.org.call<{ turn: { state: string } }>("POST", `/threads/${thread.threadId}/turns/${second.id}/cancel`),
    );
    expect(turn.state).toBe("cancelled");
    const received = await thread.stream.until(turnsEnded(2));
    expect(ofType(received, "turn_cancelled")).toMatchObject([
      { turn_id: thread.turn, cancelled_by: behind.org.userId, reason: "asked" },
      { turn_id: second.id, cancelled_by: behind.org.userId, reason: "asked" },
    ]);
    expect((await behind.asked(thread.threadId)).at(-1)).toMatchObject({ client_gone: true, tokens_sent: 0 });
  });

  it("is answered after all when the answer that it joined fails (SSE-6, LET-7)", async () => {
    const thread = await atFirstStep();
    const second = turnOf(await ok(post(thread, "!error 400", { when_busy: "steer" })));
    const received = await thread.stream.until(turnsEnded(2), 60_000);
    expect(order(received, { [thread.turn]: "first", [second.id]: "second" })).toEqual([
      "turn_started first",
      "turn_joined second",
      "agent_error first",
      "turn_started second",
      "agent_error second",
    ]);
  });

  it("tells who says it, where several people are (SSE-6, AGT-1)", async () => {
    const ana = await newPerson(behind.org, "Ana");
    const thread = await atFirstStep();
    await ok(behind.org.call("POST", `/threads/${thread.threadId}/participants`, { people: [ana] }));
    await ok(post(thread, "and ginger", { when_busy: "steer", sender_id: ana }));
    await thread.stream.until(turnsEnded(2), 60_000);
    expect((await behind.asked(thread.threadId, "and ginger"))[0]?.body.messages.at(-1)).toMatchObject({
      role: "user",
      content: '<message from="Ana" role="person">and ginger</message>',
    });
  });
});
