import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Letta, LettaOrg } from "../../lib/letta-client";
import { eventsOf } from "../../lib/letta-client/whole-message";
import { newConversation, newLetta, newTenant, textOf } from "./stack";

let letta: Letta;
let org: LettaOrg;
beforeAll(async () => {
  letta = newLetta();
  org = letta.as(await newTenant(letta));
});
afterAll(() => letta.close());

describe("a whole answer", () => {
  it("is what Letta stored: its text, what it cost, and why it stopped (LET-2, LET-4)", async () => {
    const { conversationId } = await newConversation(org);
    const events = await org.sendWhole({ conversationId, content: "!tokens 5" });
    expect(textOf(events)).toBe("1 2 3 4 5");
    expect(events).toContainEqual({ type: "stop", reason: "end_turn" });
    expect(events.find(({ type }) => type === "usage")).toMatchObject({ completionTokens: 5, steps: 1 });
  });

  it("tells the model's failure by its kind (LET-2, LET-7)", async () => {
    const { conversationId } = await newConversation(org);
    await expect(org.sendWhole({ conversationId, content: "!error 429" })).rejects.toMatchObject({
      kind: "rate_limited",
    });
  });

  it("that nobody waits for any more is not mixed up with the next one of its conversation (LET-2, SSE-6)", async () => {
    const { conversationId } = await newConversation(org);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 300);
    const first = org.sendWhole({ conversationId, content: "!slow 1500", signal: stop.signal });
    await expect(first).rejects.toMatchObject({ kind: "cancelled" });
    await org.sendWhole({ conversationId, content: "!tokens 4" });
    const stored = await org.conversations.messages(conversationId, { order: "asc" });
    const spoken = stored.filter(({ kind }) => kind === "user_message" || kind === "assistant_message");
    expect(spoken.map(({ kind }) => kind)).toEqual([
      "user_message",
      "assistant_message",
      "user_message",
      "assistant_message",
    ]);
    expect([spoken[0]?.text, spoken[2]?.text, spoken[3]?.text]).toEqual(["!slow 1500", "!tokens 4", "1 2 3 4"]);
  });

  it.each([[null], ["text"], [{}], [{ messages: [] }], [{ messages: [], stop_reason: {} }]])(
    "that is none is refused: %j (LET-2)",
    (answer) => {
      expect(() => eventsOf(answer)).toThrowError(expect.objectContaining({ kind: "bad_response" }));
    },
  );

  it("whose stop is a failure is one (LET-7)", () => {
    const stop_reason = { message_type: "stop_reason", stop_reason: "llm_api_error" };
    expect(() => eventsOf({ messages: [], usage: {}, stop_reason })).toThrowError(
      expect.objectContaining({ kind: "model_failed" }),
    );
  });
});
