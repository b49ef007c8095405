/** A provider's error answer as an UpstreamError: the status, OpenAI's error object where there is one, and the words providers use. */
import { oneValue } from "../../lib/header";
import { isObject } from "../json";
import { UpstreamError, type UpstreamReason } from "../upstreams/upstream-error";

const TOO_LONG =
  /context_length_exceeded|string_above_max_length|maximum context length|context (window|length|size)|prompt is too long|too many (input )?tokens|input (is|tokens?) (too long|exceed)|exceeds the maximum (number of tokens|allowed input)|request_too_large/i;
const REFUSED =
  /content_filter|content[_ ]policy|content management policy|ResponsibleAI|moderation|safety system|flagged/i;
const UNPAID =
  /insufficient_quota|insufficient[_ ](credits?|balance|funds)|billing|credit balance|payment required|exceeded your current quota|requires more credits/i;
const NO_MODEL =
  /model_not_found|model .{0,200}(not found|does not exist|not exist)|unknown model|no such model|not a valid model/i;
const NO_KEY = /invalid_api_key|incorrect api key|api key not valid|invalid api key|authentication_error/i;

/** `body` is the parsed JSON of the answer, or its text. `retryAfter` is the header's value. */
export function refusalOf(status: number, body: unknown, retryAfter?: string | string[] | null): UpstreamError {
  const { code, words } = wordsOf(body);
  return new UpstreamError(reasonOf(status, words), { status, code, retryAfterMs: retryAfterMs(retryAfter) });
}

function reasonOf(status: number, words: string): UpstreamReason {
  if (status === 402) return "out_of_credit";
  if (status === 413) return "context_too_long";
  if (status >= 400 && status < 500) {
    if (UNPAID.test(words)) return "out_of_credit"; // before the rate: OpenAI answers 429 for an empty account
    if (status === 429) return "rate_limited";
    if (TOO_LONG.test(words)) return "context_too_long";
    if (REFUSED.test(words)) return "content_refused";
    if (NO_KEY.test(words)) return "key_invalid"; // Gemini answers 400 for it
    if (NO_MODEL.test(words)) return "model_unknown";
    if (status === 401 || status === 403) return "key_invalid";
    if (status === 404) return "model_unknown";
    if (status === 408) return "timeout";
    if (status === 409 || status === 425) return "unavailable";
    return "request_refused";
  }
  if (status === 504 || status === 524) return "timeout";
  return status >= 500 ? "unavailable" : "bad_response"; // 529: Anthropic is overloaded
}

/**
 * An `error` object in the middle of a stream (OpenRouter, vLLM, Anthropic). Its code is the HTTP status it would have been, where it is a
 * number.
 */
export function refusalInStream(error: unknown): UpstreamError {
  const { code, words } = wordsOf({ error });
  const number = Number(code);
  if (Number.isInteger(number) && number >= 400 && number < 600) return refusalOf(number, { error });
  if (/overloaded|server_error|internal|api_error|unavailable/i.test(words))
    return new UpstreamError("unavailable", { code });
  if (/rate_limit|rate limit/i.test(words)) return new UpstreamError("rate_limited", { code });
  if (/timeout|timed out/i.test(words)) return new UpstreamError("timeout", { code });
  const reason = reasonOf(400, words);
  return new UpstreamError(reason === "request_refused" ? "unavailable" : reason, { code });
}

function wordsOf(body: unknown): { code: string | null; words: string } {
  const outer = Array.isArray(body) ? body[0] : body; // Gemini answers a list of one
  const error = isObject(outer) ? (outer.error ?? outer) : outer;
  if (!isObject(error)) return { code: null, words: typeof error === "string" ? error.slice(0, 4_000) : "" };
  const code = [error.code, error.type, error.status].find(
    (word) => typeof word === "string" || typeof word === "number",
  );
  const words = [error.code, error.type, error.status, error.message, error.metadata && JSON.stringify(error.metadata)];
  return { code: code === undefined ? null : String(code), words: words.filter(Boolean).join(" ").slice(0, 4_000) };
}

/** Retry-After (RFC 9110, 10.2.3) in ms: seconds or a date. Null where there is none. */
export function retryAfterMs(header: string | string[] | null | undefined, now = Date.now()): number | null {
  const text = oneValue(header);
  if (!text) return null;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return Math.max(0, Math.round(seconds * 1000));
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
