import { beforeAll, describe, expect, it } from "vitest";
import { ofType, turnsEnded } from "../harness/stream";
import { type BehindGateway, behindGateway, START_MS_MAX, shown, stored } from "./behind-gateway";
import { numbers } from "./gateway";

let behind: BehindGateway;

beforeAll(async () => {
  behind = await behindGateway();
}, START_MS_MAX);

describe("what readers saw, the thread stored and Letta stored is one text", () => {
  it("for an answer (SSE-2, LET-6)", async () => {
    const { threadId, ask } = await behind.thread("dev-n100");
    const received = await ask("count");
    expect(ofType(received, "turn_completed")).toHaveLength(1);
    expect(ofType(received, "ai_chunk").length).toBeGreaterThan(10);
    expect(stored(received)).toBe(numbers(100));
    expect(shown(received)).toBe(stored(received));
    expect(await behind.lastInLetta(threadId, "assistant_message")).toBe(stored(received));
  });

  it("for a tool call and what is said after it (LET-6)", async () => {
    const { threadId, ask } = await behind.thread("dev", { tools: ["memory_insert"] });
    const received = await ask('!tool memory_insert {"label":"human","new_string":"likes tea"}');
    expect(ofType(received, "turn_completed")).toHaveLength(1);
    expect(shown(received)).toBe(stored(received));
    expect(stored(received)).not.toBe("");
    const types = (await behind.inLetta(threadId)).map((message) => message.message_type);
    expect(types).toEqual(expect.arrayContaining(["tool_call_message", "tool_return_message", "assistant_message"]));
    expect(await behind.lastInLetta(threadId, "assistant_message")).toBe(stored(received).split("\n\n").at(-1));
  });

  it("for an answer that was stopped: the upstream ends at once, and Letta remembers what was read (SSE-6)", async () => {
    const { threadId, stream, say, ask, cancel } = await behind.thread("dev-n200-r20");
    const { turns } = await say("talk for long");
    await stream.until((received) => ofType(received, "ai_chunk").length > 4);
    await cancel(turns[0]?.id);
    const received = await stream.until(turnsEnded(1));
    expect(ofType(received, "turn_cancelled")).toHaveLength(1);
    expect(shown(received)).toBe(stored(received));
    expect(await behind.lastInLetta(threadId, "assistant_message")).toBe(stored(received));
    const asked = (await behind.asked("talk for long")).at(-1);
    expect(asked).toMatchObject({ client_gone: true });
    expect(asked?.tokens_sent).toBeLessThan(100);
    const before = stored(received);
    await ask("go on!\n!say yes");
    const next = (await behind.asked("go on!")).at(-1);
    expect(JSON.stringify(next?.body)).toContain(JSON.stringify(before).slice(1, -1));
  });

  it("for an answer that the upstream broke off: the turn fails by its reason, its words are kept (LET-7)", async () => {
    const { threadId, ask } = await behind.thread("dev-cut-10-r20");
    const received = await ask("begin");
    expect(ofType(received, "agent_error")).toMatchObject([{ reason: "cut" }]);
    expect(stored(received)).not.toBe("");
    expect(shown(received)).toBe(stored(received));
    expect(await behind.lastInLetta(threadId, "assistant_message")).toBe(stored(received));
  });

  it("for no answer: nothing is shown, nothing stored, and the reason is the provider's (LET-7)", async () => {
    const { threadId, ask } = await behind.thread("dev-error-401");
    const received = await ask("hello?");
    expect(ofType(received, "agent_error")).toMatchObject([{ reason: "key_invalid", retryable: false }]);
    expect([shown(received), stored(received)]).toEqual(["", ""]);
    expect(await behind.lastInLetta(threadId, "assistant_message")).toBeUndefined();
  });

  it("for what the provider's filter let through (LET-7)", async () => {
    const { threadId, ask } = await behind.thread("dev-filter");
    const received = await ask("say it");
    expect(ofType(received, "agent_error")).toMatchObject([{ reason: "content_refused" }]);
    expect(shown(received)).toBe(stored(received));
    expect(await behind.lastInLetta(threadId, "assistant_message")).toBe(stored(received));
  });

  it("for an empty answer (LET-7)", async () => {
    const { ask } = await behind.thread("dev-empty");
    const received = await ask("anything?");
    expect(turnsEnded(1)(received)).toBe(true);
    expect([shown(received), stored(received)]).toEqual(["", ""]);
  });
});
