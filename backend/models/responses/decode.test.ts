import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Assembly,
  assemble,
  chunkOf,
  firstChunk,
  LAST_CHUNK,
  newAssembly,
  wholeAnswer,
} from "../gateway/assemble";
import { EVENT_CHARS_MAX } from "../limits";
import type { UpstreamError } from "../upstreams/upstream-error";
import { createChunkDecoder } from "./decode-chunk";
import { readStream, readWhole } from "./read-answer";
import type { UpstreamEvent } from "./upstream-event";

const HEAD = { id: "chatcmpl-1", created: 1, model: "m" };

/** Bytes of a body, cut at the given places. */
async function* body(text: string | Uint8Array, cuts: number[] = []): AsyncGenerator<Uint8Array> {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  for (const [from, to] of [0, ...places].map((at, n) => [at, places[n] ?? bytes.length]))
    yield bytes.subarray(from, to);
}

async function read(text: string | Uint8Array, cuts?: number[]): Promise<UpstreamEvent[]> {
  const events: UpstreamEvent[] = [];
  await readStream(Readable.from(body(text, cuts)), createChunkDecoder(), (batch) => void events.push(...batch));
  return events;
}

async function failure(text: string): Promise<UpstreamError> {
  return read(text).then(
    () => {
      throw new Error("it was read");
    },
    (error: UpstreamError) => error,
  );
}

function folded(events: UpstreamEvent[]): Assembly {
  const answer = newAssembly();
  for (const event of events) assemble(answer, event);
  return answer;
}

/** OpenAI's stream of chunks, one for each delta. */
function sse(deltas: object[], { finish = "stop", usage = null as object | null, done = true } = {}): string {
  const chunk = (delta: object, finish_reason: string | null) =>
    `data: ${JSON.stringify({ ...HEAD, choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
  return [
    ...deltas.map((delta) => chunk(delta, null)),
    finish === "" ? "" : chunk({}, finish),
    usage ? `data: ${JSON.stringify({ choices: [], usage })}\n\n` : "",
    done ? LAST_CHUNK : "",
  ].join("");
}

const words = fc.oneof(fc.string({ unit: "grapheme", maxLength: 12 }), fc.string({ unit: "binary", maxLength: 6 }));
/** An answer's events as the gateway gives them out: pieces of text, reasoning and calls, each call begun before it goes on. */
const answers = fc
  .record({
    pieces: fc.array(
      fc.oneof(
        fc.record({ type: fc.constant("text" as const), text: words }),
        fc.record({ type: fc.constant("reasoning" as const), text: words }),
        fc.record({ type: fc.constant("call" as const), of: fc.nat(3), text: words }),
      ),
      { maxLength: 30 },
    ),
    finish: fc.constantFrom("stop" as const, "length" as const, "content_filter" as const),
    tokens: fc.tuple(fc.nat(10_000), fc.nat(10_000)),
  })
  .map(({ pieces, finish, tokens: [prompt, completion] }): UpstreamEvent[] => {
    let calls = 0;
    const events = pieces.flatMap((piece): UpstreamEvent[] => {
      if (piece.type !== "call") return [piece];
      if (piece.of < calls)
        return [{ type: "tool_call", index: piece.of, id: null, name: null, arguments: piece.text }];
      const index = calls++;
      return [{ type: "tool_call", index, id: `call_${index}`, name: `tool_${index}`, arguments: piece.text }];
    });
    const total = prompt + completion;
    const details = { cached_tokens: null, reasoning_tokens: null, estimated: false };
    return [
      ...events,
      { type: "finish", reason: finish === "stop" && calls > 0 ? "tool_calls" : finish },
      {
        type: "usage",
        usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total, ...details },
      },
    ];
  });

describe("an answer", () => {
  it("is the same whole, in chunks, and read again from any split of the chunks' bytes (SSE-2)", async () => {
    await fc.assert(
      fc.asyncProperty(answers, fc.array(fc.nat(), { maxLength: 40 }), async (events, cuts) => {
        const chunks = firstChunk(HEAD) + events.map((event) => chunkOf(HEAD, event, true)).join("") + LAST_CHUNK;
        const streamed = folded(await read(chunks, cuts));
        const sent = folded(events);
        // Halves of characters that nothing completes are replaced, as UTF-8 does; everything else is equal.
        const expected = { ...sent, text: wellFormed(sent.text), reasoning: wellFormed(sent.reasoning) };
        expect(streamed).toEqual(expected);
        const whole: UpstreamEvent[] = [];
        const text = body(JSON.stringify(wholeAnswer(HEAD, expected)));
        await readWhole(text, createChunkDecoder(), (batch) => void whole.push(...batch));
        expect(folded(whole)).toEqual(expected);
      }),
    );
  });

  it("never gives out half of a character, wherever a provider cuts its tokens", async () => {
    const events = await read(sse([{ content: "a\ud83d" }, { content: "\ude00b" }, { reasoning: "\ud83d" }]));
    expect(events.map((event) => ("text" in event ? event.text : event.type))).toEqual(["a", "😀b", "�", "finish"]);
  });

  it.each([
    [
      "usage with the finish reason",
      `data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\ndata: [DONE]\n\n`,
    ],
    ["no [DONE]", sse([{ content: "a" }], { done: false, usage: { prompt_tokens: 1, completion_tokens: 2 } })],
    [
      "no blank line at the end",
      sse([{ content: "a" }], { done: false, usage: { prompt_tokens: 1, completion_tokens: 2 } }).trimEnd(),
    ],
    [
      "content null and empty choices",
      sse(
        [
          { role: "assistant", content: null },
          { content: "a", tool_calls: null },
        ],
        { usage: { prompt_tokens: 1, completion_tokens: 2 } },
      ),
    ],
    [
      "comments and CRLF",
      `: OPENROUTER PROCESSING\r\n\r\n${sse([{ content: "a" }], { usage: { prompt_tokens: 1, completion_tokens: 2 } }).replaceAll("\n", "\r\n")}`,
    ],
    [
      "another word for the end",
      sse([{ content: [{ type: "text", text: "a" }] }], {
        finish: "end_turn",
        usage: { prompt_tokens: 1, completion_tokens: 2 },
      }),
    ],
    ["a refusal", sse([{ refusal: "a" }], { usage: { prompt_tokens: 1, completion_tokens: 2 } })],
  ])("is understood with %s", async (_name, text) => {
    expect(folded(await read(text))).toMatchObject({
      text: "a",
      finish: "stop",
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    });
  });

  it("keeps parallel calls apart that all say index 0, and gives an id to one that has none", async () => {
    const call = (id: string | undefined, name: string, args: string) => ({
      tool_calls: [{ index: 0, ...(id ? { id } : {}), type: "function", function: { name, arguments: args } }],
    });
    const answer = folded(await read(sse([call("a", "one", '{"x":1}'), call("b", "two", "{}")])));
    expect(answer).toMatchObject({
      finish: "tool_calls",
      calls: [
        { id: "a", name: "one" },
        { id: "b", name: "two" },
      ],
    });
    const { calls } = folded(await read(sse([call(undefined, "one", "{}")], { finish: "tool_calls" })));
    expect(calls).toEqual([{ id: expect.stringMatching(/^call_\w{24}$/), name: "one", arguments: "{}" }]);
  });

  it("that was stopped leaves out a call that is not complete, and is never null without a call", () => {
    const answer = { ...newAssembly(), calls: [{ id: "a", name: "one", arguments: '{"x":' }] };
    expect(wholeAnswer(HEAD, answer)).toMatchObject({
      choices: [{ message: { content: "" }, finish_reason: "stop" }],
      usage: { total_tokens: 0 },
    });
    expect(JSON.stringify(wholeAnswer(HEAD, answer))).not.toContain("tool_calls");
  });
});

describe("what is no answer", () => {
  it.each([
    ["ends in the middle", sse([{ content: "a" }], { finish: "", done: false }), "cut"],
    ["is empty", "", "cut"],
    ["is not JSON", "data: <html>502</html>\n\n", "bad_response"],
    ["says nothing and is done", LAST_CHUNK, "bad_response"],
    ["has an event without end", `data: ${"x".repeat(EVENT_CHARS_MAX + 1)}`, "bad_response"],
    [
      "is an error of overload",
      'data: {"error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
      "unavailable",
    ],
    ["is an error with a status", 'data: {"error":{"code":429,"message":"slow down"}}\n\n', "rate_limited"],
    [
      "is too long a conversation",
      'data: {"error":{"message":"maximum context length is 8192 tokens"}}\n\n',
      "context_too_long",
    ],
  ])("fails with its reason when it %s", async (_name, text, reason) => {
    expect((await failure(text)).reason).toBe(reason);
  });
});

function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
