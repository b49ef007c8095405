import { fromModelError, LettaError } from "./errors";

/** What a streaming answer is made of, in the order Letta sends it. */
export type LettaEvent =
  /** First: the run, by which the answer can be stopped and looked up. */
  | { type: "run"; runId: string }
  /** A piece of the agent's text. `messageId` changes with each step. */
  | { type: "text"; messageId: string; text: string }
  | { type: "reasoning"; messageId: string; text: string }
  /** A piece of a tool call: the name comes once, the arguments (JSON) in pieces that are to be joined. */
  | { type: "tool_call"; toolCallId: string; name: string | null; arguments: string }
  | { type: "tool_return"; toolCallId: string; status: "success" | "error"; text: string }
  /** A piece of a call of a client-side tool: Letta waits for its return. */
  | { type: "approval_request"; toolCallId: string; name: string | null; arguments: string }
  | { type: "usage"; promptTokens: number; completionTokens: number; totalTokens: number; steps: number }
  /** `end_turn` | `max_steps` | `tool_rule` | `requires_approval` | `cancelled` | … Errors are thrown, not told here. */
  | { type: "stop"; reason: string };

/** Stop reasons after which an error event follows, or which are an error by themselves (Letta 0.16.8, schemas/letta_stop_reason.py). */
const FAILED_STOPS = new Set([
  "error",
  "llm_api_error",
  "invalid_llm_response",
  "invalid_tool_call",
  "max_tokens_exceeded",
  "insufficient_credits",
  "context_window_overflow_in_system_prompt",
  "no_tool_call",
]);

export function isFailedStop(reason: string): boolean {
  return FAILED_STOPS.has(reason);
}

/** One JSON object of Letta's stream as events; none for what has no meaning to us (pings, kinds we do not know). Throws LettaError for its error events. */
export function decode(raw: Record<string, unknown>, eventName: string | undefined): LettaEvent[] {
  const kind = raw.message_type;
  if (eventName === "error" || kind === "error_message") {
    throw fromModelError(string(raw.error_type) ?? "internal_error", string(raw.detail));
  }
  const messageId = string(raw.id) ?? "";
  switch (kind) {
    case "assistant_message": {
      const text = textOf(raw.content);
      return text === "" ? [] : [{ type: "text", messageId, text }];
    }
    case "reasoning_message": {
      const text = string(raw.reasoning) ?? "";
      return text === "" ? [] : [{ type: "reasoning", messageId, text }];
    }
    case "tool_call_message":
      return callsOf(raw).map((call) => ({ type: "tool_call" as const, ...call }));
    case "approval_request_message":
      return callsOf(raw).map((call) => ({ type: "approval_request" as const, ...call }));
    case "tool_return_message":
      return [
        {
          type: "tool_return",
          toolCallId: string(raw.tool_call_id) ?? "",
          status: raw.status === "error" ? "error" : "success",
          text: string(raw.tool_return) ?? "",
        },
      ];
    case "usage_statistics":
      return [
        {
          type: "usage",
          promptTokens: count(raw.prompt_tokens),
          completionTokens: count(raw.completion_tokens),
          totalTokens: count(raw.total_tokens),
          steps: count(raw.step_count),
        },
      ];
    case "stop_reason": {
      const reason = string(raw.stop_reason);
      if (reason === null) throw new LettaError("bad_response", { code: "stop_reason" });
      return [{ type: "stop", reason }];
    }
    default:
      return [];
  }
}

/** Letta writes one call as an object, several as a list, and pieces of a call with only what is new. */
function callsOf(raw: Record<string, unknown>): { toolCallId: string; name: string | null; arguments: string }[] {
  const calls = raw.tool_calls ?? raw.tool_call;
  const list = Array.isArray(calls) ? calls : [calls];
  return list.filter(isObject).map((call) => ({
    toolCallId: string(call.tool_call_id) ?? "",
    name: string(call.name),
    arguments: string(call.arguments) ?? "",
  }));
}

/** Text, or a list of parts of which the text ones count. */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (isObject(part) ? (string(part.text) ?? "") : "")).join("");
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function string(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.trunc(value) : 0;
}
