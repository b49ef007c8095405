/** Events folded into what Letta asked for: OpenAI's whole answer, or its stream of chunks. Both say the same. */
import { randomBytes } from "node:crypto";
import { parseJson } from "../json";
import type { Usage } from "../metering/usage";
import type { FinishReason, UpstreamEvent } from "../responses/upstream-event";

/** What every chunk and the whole answer carry. */
export interface AnswerHead {
  id: string;
  /** Seconds since 1970. */
  created: number;
  /** As Letta asked for it. */
  model: string;
}

export function newHead(model: string): AnswerHead {
  return { id: `chatcmpl-${randomBytes(12).toString("hex")}`, created: Math.floor(Date.now() / 1000), model };
}

/** An answer as far as it has come. */
export interface Assembly {
  text: string;
  reasoning: string;
  calls: { id: string; name: string; arguments: string }[];
  /** Null while it goes on, and for ever when it was stopped or broke off. */
  finish: FinishReason | null;
  usage: Usage | null;
}

export function newAssembly(): Assembly {
  return { text: "", reasoning: "", calls: [], finish: null, usage: null };
}

export function assemble(answer: Assembly, event: UpstreamEvent): void {
  switch (event.type) {
    case "begin":
      return;
    case "text":
      answer.text += event.text;
      return;
    case "reasoning":
      answer.reasoning += event.text;
      return;
    case "tool_call": {
      const call = answer.calls[event.index];
      if (call) call.arguments += event.arguments;
      else answer.calls[event.index] = { id: event.id ?? "", name: event.name ?? "", arguments: event.arguments };
      return;
    }
    case "finish":
      answer.finish = event.reason;
      return;
    case "usage":
      answer.usage = event.usage;
  }
}

/**
 * The whole answer (https://platform.openai.com/docs/api-reference/chat/object). Of one without a finish reason, calls whose arguments are
 * not complete are left out. Letta 0.16.8 refuses an answer without `usage`, and takes one whose content is null, without a call, for a
 * failure: an empty answer is "".
 */
export function wholeAnswer(head: AnswerHead, answer: Assembly): object {
  const calls = answer.finish === null ? answer.calls.filter((call) => isWhole(call.arguments)) : answer.calls;
  const message = {
    role: "assistant",
    content: answer.text === "" && calls.length > 0 ? null : answer.text,
    refusal: null,
    ...(answer.reasoning === "" ? {} : { reasoning_content: answer.reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(toolCall) }),
  };
  const finish_reason = answer.finish ?? (calls.length > 0 ? "tool_calls" : "stop");
  return {
    ...head,
    object: "chat.completion",
    choices: [{ index: 0, message, logprobs: null, finish_reason }],
    usage: usageForm(answer.usage ?? NO_USAGE),
  };
}

/** `first`: the chunk that says who speaks, which goes before all others. */
export function firstChunk(head: AnswerHead): string {
  return chunk(head, { role: "assistant", content: "" }, null);
}

/** An event as a chunk of the stream; "" for those that Letta is not told. */
export function chunkOf(head: AnswerHead, event: UpstreamEvent, includeUsage: boolean): string {
  switch (event.type) {
    case "begin":
      return "";
    case "text":
      return chunk(head, { content: event.text }, null);
    case "reasoning":
      return chunk(head, { reasoning_content: event.text }, null);
    case "tool_call": {
      const { index, id, name, arguments: args } = event;
      const piece =
        id === null
          ? { index, function: { arguments: args } }
          : { index, id, type: "function", function: { name, arguments: args } };
      return chunk(head, { tool_calls: [piece] }, null);
    }
    case "finish":
      return chunk(head, {}, event.reason);
    case "usage":
      return includeUsage
        ? frame({ ...head, object: "chat.completion.chunk", choices: [], usage: usageForm(event.usage) })
        : "";
  }
}

/** An error in the middle of the stream, as OpenAI's client library reads it. */
export function errorChunk(body: { error: object }): string {
  return frame(body);
}

export const LAST_CHUNK = "data: [DONE]\n\n";

function chunk(head: AnswerHead, delta: object, finish_reason: FinishReason | null): string {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason }];
  return frame({ ...head, object: "chat.completion.chunk", choices });
}

function frame(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

function toolCall({ id, name, arguments: args }: Assembly["calls"][number]): object {
  return { id, type: "function", function: { name, arguments: args } };
}

function isWhole(args: string): boolean {
  return parseJson(args) !== undefined;
}

const NO_USAGE: Usage = {
  prompt_tokens: 0,
  completion_tokens: 0,
  total_tokens: 0,
  cached_tokens: null,
  reasoning_tokens: null,
  estimated: true,
};

function usageForm(usage: Usage): object {
  const { prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens } = usage;
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens,
    ...(cached_tokens === null ? {} : { prompt_tokens_details: { cached_tokens } }),
    ...(reasoning_tokens === null ? {} : { completion_tokens_details: { reasoning_tokens } }),
  };
}
