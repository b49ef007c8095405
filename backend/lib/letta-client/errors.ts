/**
 * What can go wrong with Letta, said once: a kind for programs, a sentence for people, whether trying again can help, and whose fault it
 * was. No text of Letta, of its model or of a person gets into `message`: those can hold prompts and keys.
 */
export type LettaErrorKind = keyof typeof KINDS;

/** Whose fault: a server's failures open its breaker; a model's, a request's and a caller's do not. */
export type Blame = "server" | "model" | "request" | "caller";

interface Kind {
  retryable: boolean;
  blame: Blame;
  message: string;
}

const KINDS = {
  unavailable: { retryable: true, blame: "server", message: "The agent server cannot be reached at the moment." },
  overloaded: { retryable: true, blame: "caller", message: "Too many requests are waiting for the agent server." },
  timeout: { retryable: true, blame: "server", message: "The agent server did not answer in time." },
  internal: { retryable: true, blame: "server", message: "The agent server failed while it worked on the request." },
  bad_response: {
    retryable: true,
    blame: "server",
    message: "The agent server answered something that cannot be understood.",
  },
  cut: { retryable: true, blame: "server", message: "The agent's answer broke off." },
  model_timeout: { retryable: true, blame: "model", message: "The agent's language model did not answer in time." },
  model_failed: { retryable: true, blame: "model", message: "The agent's language model failed." },
  rate_limited: {
    retryable: true,
    blame: "model",
    message: "The agent's language model takes no more requests for the moment.",
  },
  model_credentials: {
    retryable: false,
    blame: "model",
    message: "The language model's provider refused the credentials the agent server has.",
  },
  out_of_credit: { retryable: false, blame: "model", message: "The language model's provider wants to be paid first." },
  context_too_long: {
    retryable: false,
    blame: "request",
    message: "The conversation has become too long for the agent's language model.",
  },
  content_refused: {
    retryable: false,
    blame: "request",
    message: "The language model's provider refused the content.",
  },
  not_found: { retryable: false, blame: "request", message: "The agent server does not know what it was asked for." },
  conflict: {
    retryable: true,
    blame: "request",
    message: "The agent is still busy with another message of this conversation.",
  },
  invalid_request: { retryable: false, blame: "request", message: "The agent server refused the request." },
  unauthorized: { retryable: false, blame: "server", message: "The agent server refused Graphyn's password or user." },
  no_wall: {
    retryable: false,
    blame: "server",
    message: "The agent server does not keep organizations apart, so it is not used.",
  },
  cancelled: { retryable: false, blame: "caller", message: "The request was stopped." },
} as const satisfies Record<string, Kind>;

export class LettaError extends Error {
  override readonly name = "LettaError";
  readonly kind: LettaErrorKind;
  readonly retryable: boolean;
  readonly blame: Blame;
  /** Letta's HTTP status, where there was one. */
  readonly status: number | null;
  /** Letta's or a library's own word for it, made of letters and underscores: fit for a log, not for people. */
  readonly code: string | null;

  constructor(
    kind: LettaErrorKind,
    more: { status?: number; code?: string | null; cause?: unknown; blame?: Blame } = {},
  ) {
    const { retryable, blame, message } = KINDS[kind];
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.kind = kind;
    this.retryable = retryable;
    this.blame = more.blame ?? blame;
    this.status = more.status ?? null;
    this.code = more.code ? more.code.replace(/[^\w.-]/g, "").slice(0, 64) : null;
  }
}

/** Letta's answer with an error status, as a LettaError. `body` is its parsed JSON, or whatever came instead. */
export function fromStatus(status: number, body: unknown): LettaError {
  const inner = field(body, "error");
  const type = text(field(inner, "type"));
  if (type !== null) return fromModelError(type, text(field(inner, "detail")), status);
  const detail = text(field(body, "detail")) ?? "";
  const more = { status };
  if (status === 401 || status === 403) return new LettaError("unauthorized", more);
  if (status === 404) return new LettaError("not_found", more);
  if (status === 402) return new LettaError("out_of_credit", more);
  if (status === 408 || status === 504) return new LettaError("timeout", more);
  if (status === 409) return new LettaError("conflict", more);
  if (status === 429) return new LettaError("rate_limited", more);
  if (status === 502 || status === 503) return new LettaError("unavailable", more);
  if (status >= 500) return new LettaError("internal", more);
  if (TOO_LONG.test(detail)) return new LettaError("context_too_long", more);
  return new LettaError("invalid_request", more);
}

/** The `error_type` of an error event or body of Letta 0.16.8 (services/streaming_service.py, server/rest_api/app.py). */
export function fromModelError(type: string, detail: string | null, status?: number): LettaError {
  const more = { code: type, ...(status === undefined ? {} : { status }) };
  if (detail !== null && TOO_LONG.test(detail)) return new LettaError("context_too_long", more);
  switch (type) {
    case "llm_timeout":
      return new LettaError("model_timeout", more);
    case "llm_rate_limit":
      return new LettaError("rate_limited", more);
    case "llm_authentication":
      return new LettaError("model_credentials", more);
    case "llm_insufficient_credits":
      return new LettaError("out_of_credit", more);
    case "context_window_overflow_in_system_prompt":
    case "max_tokens_exceeded":
      return new LettaError("context_too_long", more);
    case "llm_bad_request":
    case "internal_error": // "An unknown error occurred with the LLM streaming request": the model's connection broke, or sent garbage
    case "llm_error":
    case "llm_api_error":
    case "llm_empty_response":
    case "invalid_llm_response":
      return new LettaError(detail !== null && REFUSED.test(detail) ? "content_refused" : "model_failed", more);
    case "stream_incomplete":
      return new LettaError("cut", more);
    default:
      return new LettaError("internal", { ...more, blame: "request" });
  }
}

// What providers say; Letta passes it on as `detail`.
const TOO_LONG = /context.?(length|window)|maximum context|too many tokens|prompt is too long|token limit/i;
const REFUSED = /content.?(filter|policy|management)|safety|moderation/i;

/** Anything thrown on the way to Letta or back, as a LettaError. */
export function toLettaError(error: unknown, signal?: AbortSignal): LettaError {
  for (let cause = error, depth = 0; cause !== undefined && cause !== null && depth < 6; depth++) {
    if (cause instanceof LettaError) return cause;
    if (signal?.aborted && signal.reason instanceof LettaError) return signal.reason;
    const code = text(field(cause, "code"));
    const name = text(field(cause, "name"));
    if (code !== null && UNREACHABLE.has(code)) return new LettaError("unavailable", { code, cause: error });
    if (code !== null && LATE.has(code)) return new LettaError("timeout", { code, cause: error });
    if (name === "APIConnectionTimeoutError" || name === "TimeoutError")
      return new LettaError("timeout", { cause: error });
    const status = field(cause, "status");
    if (typeof status === "number") return fromStatus(status, field(cause, "error"));
    cause = field(cause, "cause");
  }
  if (signal?.aborted) return new LettaError("cancelled");
  // JSON that cannot be parsed is quoted in the parser's error, and may be somebody's text: so no cause.
  return new LettaError("bad_response", error instanceof SyntaxError ? { code: "json" } : { cause: error });
}

const UNREACHABLE = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_SOCKET",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_CLOSED",
  "UND_ERR_DESTROYED",
]);
const LATE = new Set(["UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "ETIMEDOUT"]);

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
