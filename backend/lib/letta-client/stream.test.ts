import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LettaError } from "./errors";
import type { LettaEvent } from "./events";
import { readEvents } from "./stream";

// What a Letta of another version, or something between, could send. The real one is met in backend/__tests__/letta.

async function read(chunks: Uint8Array[]): Promise<{ events: LettaEvent[]; error: LettaError | null }> {
  const events: LettaEvent[] = [];
  try {
    for await (const event of readEvents(iterate(chunks))) events.push(event);
    return { events, error: null };
  } catch (error) {
    if (!(error instanceof LettaError)) throw error;
    return { events, error };
  }
}

async function* iterate(chunks: Uint8Array[]) {
  yield* chunks;
}

const bytes = (text: string) => [new TextEncoder().encode(text)];
const event = (data: object, name?: string) => `${name ? `event: ${name}\n` : ""}data: ${JSON.stringify(data)}\n\n`;
const text = (content: unknown) =>
  event({ message_type: "assistant_message", id: "message-1", run_id: "run-1", content });
const STOP = event({ message_type: "stop_reason", stop_reason: "end_turn" });
const DONE = "data: [DONE]\n\n";

function said(events: LettaEvent[]): string {
  return events.map((item) => (item.type === "text" ? item.text : "")).join("");
}

describe("an event stream", () => {
  it("gives the same events however its bytes are cut (LET-2)", async () => {
    const whole = new TextEncoder().encode(text("grüße 🜂 ") + text("line\nbreak\r\nand \u2028 too") + STOP + DONE);
    const expected = await read([whole]);
    expect(said(expected.events)).toBe("grüße 🜂 line\nbreak\r\nand \u2028 too");
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 20 }), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), whole.length];
        expect(await read(at.slice(1).map((end, n) => whole.slice(at[n], end)))).toEqual(expected);
      }),
    );
  });

  it("takes content as text or as parts, and skips what it does not know (LET-2)", async () => {
    const parts = text([{ type: "text", text: "a" }, { type: "image" }, { type: "text", text: "b" }]);
    const unknown = `${event({ message_type: "something_new", id: "x" })}: comment\n\nretry: soon\n\ndata: not json\n\ndata: 7\n\n`;
    const { events, error } = await read(bytes(parts + unknown + text(null) + STOP + DONE));
    expect(error).toBeNull();
    expect(said(events)).toBe("ab");
  });

  it.each([
    ["ends without an end", text("a"), "cut"],
    ["is empty", "", "cut"],
    ["is done without saying how", text("a") + DONE, "bad_response"],
    ["is only garbage", "<html>\n\n".repeat(3) + "data: <\n\n".repeat(3), "bad_response"],
    ["is garbage without end", "data: {\n\n".repeat(1_000), "bad_response"],
    ["has a stop that is no text", event({ message_type: "stop_reason", stop_reason: { a: 1 } }), "bad_response"],
    ["has a line without end", `data: ${"x".repeat(3_000_000)}`, "bad_response"],
    ["stops with an error", event({ message_type: "stop_reason", stop_reason: "error" }) + DONE, "internal"],
    [
      "stops for its length",
      event({ message_type: "stop_reason", stop_reason: "max_tokens_exceeded" }) + DONE,
      "context_too_long",
    ],
    [
      "says that the model is limited",
      event({ message_type: "error_message", error_type: "llm_rate_limit" }, "error"),
      "rate_limited",
    ],
    [
      "says that the context is full",
      event(
        { message_type: "error_message", error_type: "llm_error", detail: "maximum context length is 8192" },
        "error",
      ),
      "context_too_long",
    ],
    [
      "says that the content was refused",
      event({ message_type: "error_message", error_type: "llm_error", detail: "blocked by content_filter" }, "error"),
      "content_refused",
    ],
    ["has an error without a type", event({ detail: 7 }, "error"), "model_failed"],
  ])("that %s is an error of one kind (LET-2)", async (_, body, kind) => {
    const { error } = await read(bytes(body));
    expect(error).toMatchObject({ kind });
  });

  it("keeps what was said before it broke (LET-2, LET-7)", async () => {
    const { events, error } = await read(bytes(text("so far") + event({ error_type: "llm_timeout" }, "error")));
    expect(said(events)).toBe("so far");
    expect(error).toMatchObject({ kind: "model_timeout", retryable: true });
  });

  it("that has stopped has ended, with or without the closing mark (LET-2)", async () => {
    expect(await read(bytes(text("a") + STOP))).toMatchObject({ error: null });
    expect((await read(bytes(text("a") + STOP + DONE + text("after")))).events).toHaveLength(3); // run, text, stop
  });

  it("lets no text of Letta's into an error's message (LET-2)", async () => {
    const secret = "sk-very-secret";
    for (const type of ["llm_error", "internal_error", secret, `${secret} and more text`]) {
      const { error } = await read(bytes(event({ error_type: type, message: secret, detail: secret }, "error")));
      expect(error?.message).not.toContain(secret);
      expect(error?.message).toMatch(/^The .*\.$/);
    }
  });
});
