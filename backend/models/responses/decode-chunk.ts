/** Chunks of OpenAI's chat completions, as all the providers write them, as events. */
import { randomBytes } from "node:crypto";
import { isObject, type JsonObject } from "../json";
import { ANSWER_CHARS_MAX, TOOL_CALLS_MAX } from "../limits";
import { readUsage, type Usage } from "../metering/usage";
import { UpstreamError } from "../upstreams/upstream-error";
import { refusalInStream } from "./refusal";
import type { FinishReason, UpstreamEvent } from "./upstream-event";
import { createWholePairs } from "./whole-pairs";

export interface ChunkDecoder {
  /** The events of one chunk, or of a whole `chat.completion`. Throws UpstreamError for an error object and for what is no chunk. */
  decode(chunk: unknown): UpstreamEvent[];
  /** What is known only at the end: the finish reason, and the usage where the provider told it. Throws when the answer has no end. */
  end(done: boolean): UpstreamEvent[];
  /** The finish reason has come. */
  readonly finished: boolean;
  /** Characters of text, reasoning and arguments so far. */
  readonly chars: number;
}

interface Call {
  index: number;
  id: string | null;
  name: string | null;
  /** Arguments that came before the name. */
  waiting: string;
  begun: boolean;
}

/** What other servers say for OpenAI's four reasons. */
const FINISHES: Readonly<Record<string, FinishReason>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool_calls",
  content_filter: "content_filter",
  function_call: "tool_calls",
  tool_use: "tool_calls",
  max_tokens: "length",
  model_length: "length",
  safety: "content_filter",
  refusal: "content_filter",
  prohibited_content: "content_filter",
  recitation: "content_filter",
};

export function createChunkDecoder(): ChunkDecoder {
  const text = createWholePairs();
  const reasoning = createWholePairs();
  const calls: Call[] = [];
  /** The call that a provider's index names now: some give all parallel calls index 0. */
  const current = new Map<number, Call>();
  let finish: FinishReason | null = null;
  let usage: Usage | null = null;
  let chars = 0;

  function say(type: "text" | "reasoning", value: unknown): UpstreamEvent[] {
    const piece = textOf(value);
    if (piece === "") return [];
    count(piece.length);
    const whole = (type === "text" ? text : reasoning).add(piece);
    return whole === "" ? [] : [{ type, text: whole }];
  }

  function count(length: number): void {
    chars += length;
    if (chars > ANSWER_CHARS_MAX) throw new UpstreamError("bad_response", { code: "answer_too_long" });
  }

  function callPiece(piece: JsonObject, position: number): UpstreamEvent[] {
    const fn = isObject(piece.function) ? piece.function : {};
    const id = nonEmpty(piece.id);
    const name = nonEmpty(fn.name);
    const given = typeof piece.index === "number" ? piece.index : position;
    let call = current.get(given);
    if (call === undefined || (id !== null && call.id !== null && id !== call.id)) {
      if (calls.length >= TOOL_CALLS_MAX) throw new UpstreamError("bad_response", { code: "too_many_calls" });
      call = { index: calls.length, id, name, waiting: "", begun: false };
      calls.push(call);
      current.set(given, call);
    }
    call.id ??= id;
    call.name ??= name;
    const args =
      typeof fn.arguments === "string" ? fn.arguments : isObject(fn.arguments) ? JSON.stringify(fn.arguments) : "";
    count(args.length);
    if (call.begun)
      return args === "" ? [] : [{ type: "tool_call", index: call.index, id: null, name: null, arguments: args }];
    call.waiting += args;
    return call.name === null ? [] : [begin(call)];
  }

  function begin(call: Call): UpstreamEvent {
    call.begun = true;
    call.id ??= `call_${randomBytes(12).toString("hex")}`;
    return { type: "tool_call", index: call.index, id: call.id, name: call.name ?? "", arguments: call.waiting };
  }

  return {
    decode(chunk) {
      if (!isObject(chunk)) throw new UpstreamError("bad_response", { code: "not_an_object" });
      if (chunk.error !== undefined && chunk.error !== null) throw refusalInStream(chunk.error);
      usage = readUsage(chunk.usage) ?? usage;
      const choices = Array.isArray(chunk.choices) ? chunk.choices.filter(isObject) : [];
      const choice = choices.find(({ index }) => index === undefined || index === null || index === 0);
      if (choice === undefined) return [];
      const delta = isObject(choice.delta) ? choice.delta : isObject(choice.message) ? choice.message : {};
      const events = [
        ...say("reasoning", delta.reasoning_content ?? delta.reasoning),
        ...say("text", delta.content),
        ...say("text", delta.refusal),
      ];
      if (Array.isArray(delta.tool_calls)) {
        events.push(...delta.tool_calls.filter(isObject).flatMap((piece, position) => callPiece(piece, position)));
      }
      const reason = nonEmpty(choice.finish_reason);
      if (reason === "error") throw new UpstreamError("unavailable", { code: "finish_error" });
      if (reason !== null) finish = FINISHES[reason.toLowerCase()] ?? "stop";
      return events;
    },
    end(done) {
      if (finish === null && !(done && chars > 0))
        throw new UpstreamError(done ? "bad_response" : "cut", { code: "no_end" });
      const events: UpstreamEvent[] = [];
      const thought = reasoning.rest();
      const said = text.rest();
      if (thought !== "") events.push({ type: "reasoning", text: thought });
      if (said !== "") events.push({ type: "text", text: said });
      const called = calls.some((call) => call.begun);
      events.push({ type: "finish", reason: finishOf(finish ?? "stop", called) });
      if (usage !== null) events.push({ type: "usage", usage });
      return events;
    },
    get finished() {
      return finish !== null;
    },
    get chars() {
      return chars;
    },
  };
}

/** Some say "stop" after a call, some "tool_calls" without one. */
function finishOf(said: FinishReason, called: boolean): FinishReason {
  if (said === "stop" && called) return "tool_calls";
  return said === "tool_calls" && !called ? "stop" : said;
}

/** A string, or the text parts of a list (Mistral, some proxies). */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return "";
  return value.map((part) => (isObject(part) && typeof part.text === "string" ? part.text : "")).join("");
}

function nonEmpty(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
