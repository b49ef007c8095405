import { isObject, type JsonObject } from "../json";

/** Tokens of one request. */
export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  /** Of the prompt's, those the provider had in its cache; null when it does not say. */
  cached_tokens: number | null;
  /** Of the completion's, those nobody sees; null when the provider does not say. */
  reasoning_tokens: number | null;
  /** The provider said nothing: four characters were taken for a token. */
  estimated: boolean;
}

const CHARS_PER_TOKEN = 4;

/** A provider's `usage`, or null when it is none. */
export function readUsage(value: unknown): Usage | null {
  if (!isObject(value)) return null;
  const prompt = count(value.prompt_tokens);
  const completion = count(value.completion_tokens);
  if (prompt === null && completion === null) return null;
  return {
    prompt_tokens: prompt ?? 0,
    completion_tokens: completion ?? 0,
    total_tokens: count(value.total_tokens) ?? (prompt ?? 0) + (completion ?? 0),
    cached_tokens: isObject(value.prompt_tokens_details) ? count(value.prompt_tokens_details.cached_tokens) : null,
    reasoning_tokens: isObject(value.completion_tokens_details)
      ? count(value.completion_tokens_details.reasoning_tokens)
      : null,
    estimated: false,
  };
}

/** What a request and so many characters of its answer come to, where the provider does not tell, or was stopped before it could. */
export function estimateUsage(body: JsonObject, answerChars: number): Usage {
  const prompt = estimateTokens(JSON.stringify([body.messages, body.tools]).length);
  const completion = estimateTokens(answerChars);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    cached_tokens: null,
    reasoning_tokens: null,
    estimated: true,
  };
}

/** What Letta tells of a call that did not come through the gateway. */
export function usageOf(prompt_tokens: number, completion_tokens: number, estimated = false): Usage {
  const total_tokens = prompt_tokens + completion_tokens;
  return { prompt_tokens, completion_tokens, total_tokens, cached_tokens: null, reasoning_tokens: null, estimated };
}

export function estimateTokens(chars: number): number {
  return Math.ceil(chars / CHARS_PER_TOKEN);
}

/** Far beyond any model's: what a broken upstream says must fit the ledger's columns, also added up over a turn's calls. */
const TOKENS_MAX = 10_000_000;

function count(value: unknown): number | null {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) return null;
  return Math.min(Math.round(value), TOKENS_MAX);
}
