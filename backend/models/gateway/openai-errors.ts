/** Errors as OpenAI writes them, for Letta to understand: it looks at the status, the code, and words of the message. */
import type { ServerResponse } from "node:http";
import { UpstreamError, type UpstreamReason } from "../upstreams/upstream-error";
import { BadRequest } from "./read-request";

interface Form {
  status: number;
  type: string;
  code: string;
  /**
   * Words that Letta 0.16.8 knows an error in the middle of a stream by, which has no status (llm_api/error_utils.py): the one is answered
   * by compacting the conversation.
   */
  words?: string;
}

const FORMS: Record<UpstreamReason, Form> = {
  rate_limited: { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded" },
  unavailable: { status: 503, type: "server_error", code: "upstream_unavailable" },
  timeout: { status: 504, type: "server_error", code: "upstream_timeout" },
  bad_response: { status: 502, type: "server_error", code: "upstream_bad_response" },
  cut: { status: 502, type: "server_error", code: "upstream_cut" },
  content_refused: { status: 400, type: "invalid_request_error", code: "content_filter" },
  context_too_long: {
    status: 400,
    type: "invalid_request_error",
    code: "context_length_exceeded",
    words: "It exceeds the context window (context_length_exceeded).",
  },
  request_refused: { status: 400, type: "invalid_request_error", code: "invalid_request" },
  key_invalid: { status: 401, type: "authentication_error", code: "invalid_api_key" },
  out_of_credit: {
    status: 402,
    type: "insufficient_quota",
    code: "insufficient_quota",
    words: "(insufficient credits)",
  },
  model_unknown: { status: 404, type: "invalid_request_error", code: "model_not_found" },
  cancelled: { status: 499, type: "server_error", code: "cancelled" },
};

/** The `{error: …}` of an UpstreamError; of anything else, an internal one that tells nothing. */
export function errorBody(error: unknown): { status: number; body: { error: object } } {
  if (error instanceof BadRequest) {
    return { status: error.status, body: openAiError(error.message, "invalid_request_error", "bad_request") };
  }
  if (!(error instanceof UpstreamError)) {
    return { status: 500, body: openAiError("The model gateway failed.", "server_error", "internal") };
  }
  const { status, type, code, words } = FORMS[error.reason];
  return { status, body: openAiError(words ? `${error.message} ${words}` : error.message, type, code) };
}

function openAiError(message: string, type: string, code: string): { error: object } {
  return { error: { message, type, param: null, code } };
}

/** OpenAI's client library repeats what fails; the gateway has done that, so it is told not to. */
const NO_RETRY = { "x-should-retry": "false" };

export function answerError(resp: ServerResponse, error: unknown): void {
  const { status, body } = errorBody(error);
  answerJson(resp, status, body, NO_RETRY);
}

export function answerNotLetta(resp: ServerResponse): void {
  const body = openAiError(
    "The model gateway is for the agent server alone.",
    "authentication_error",
    "invalid_api_key",
  );
  answerJson(resp, 401, body, NO_RETRY);
}

export function answerJson(
  resp: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  resp.writeHead(status, { "Content-Type": "application/json", ...headers });
  resp.end(JSON.stringify(body));
}
