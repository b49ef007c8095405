/**
 * What can go wrong with a language model's provider, said once. `message` is for people; no text of a provider, a person or a key gets
 * into it.
 */
export type UpstreamReason = keyof typeof KINDS;

interface Kind {
  /** Whether the same request can succeed at the same upstream a moment later. */
  retryable: boolean;
  /** Whether another upstream can answer it. */
  elsewhere: boolean;
  message: string;
}

const KINDS = {
  rate_limited: {
    retryable: true,
    elsewhere: true,
    message: "The language model's provider takes no more requests for the moment.",
  },
  unavailable: { retryable: true, elsewhere: true, message: "The language model cannot be reached at the moment." },
  timeout: { retryable: true, elsewhere: true, message: "The language model did not answer in time." },
  bad_response: {
    retryable: true,
    elsewhere: true,
    message: "The language model's provider answered something that cannot be understood.",
  },
  cut: { retryable: true, elsewhere: true, message: "The language model's answer broke off." },
  content_refused: {
    retryable: false,
    elsewhere: false,
    message: "The language model's provider refused the content.",
  },
  context_too_long: {
    retryable: false,
    elsewhere: false,
    message: "The conversation has become too long for the language model.",
  },
  request_refused: {
    retryable: false,
    elsewhere: false,
    message: "The language model's provider refused the request as it was made.",
  },
  key_invalid: {
    retryable: false,
    elsewhere: true,
    message: "The language model's provider refused the key it was given.",
  },
  out_of_credit: {
    retryable: false,
    elsewhere: true,
    message: "The language model's provider wants to be paid first.",
  },
  model_unknown: { retryable: false, elsewhere: true, message: "No provider offers this language model." },
  cancelled: { retryable: false, elsewhere: false, message: "The request was stopped." },
} as const satisfies Record<string, Kind>;

interface More {
  /** The upstream's HTTP status. */
  status?: number | null;
  /** How long the upstream wants to be left alone, ms. */
  retryAfterMs?: number | null;
  /** The upstream's or a library's own word, for the log. */
  code?: string | null;
  cause?: unknown;
}

export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  readonly reason: UpstreamReason;
  readonly retryable: boolean;
  readonly elsewhere: boolean;
  readonly status: number | null;
  readonly retryAfterMs: number | null;
  readonly code: string | null;
  /** Something of the answer had been given out: asking again would say it twice. */
  afterFirstToken = false;
  /** Name of the upstream that was asked last. */
  upstream: string | null = null;

  constructor(reason: UpstreamReason, more: More = {}) {
    const { retryable, elsewhere, message } = KINDS[reason];
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.reason = reason;
    this.retryable = retryable;
    this.elsewhere = elsewhere;
    this.status = more.status ?? null;
    this.retryAfterMs = more.retryAfterMs ?? null;
    this.code = more.code ? more.code.replace(/[^\w.-]/g, "").slice(0, 64) : null;
  }
}

/** Whatever a connection threw, as an UpstreamError. `begun`: the answer's head had come. */
export function toUpstreamError(thrown: unknown, begun: boolean, signal?: AbortSignal): UpstreamError {
  if (signal?.aborted && signal.reason instanceof UpstreamError) return signal.reason;
  if (thrown instanceof UpstreamError) return thrown;
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : null;
  const more = { code, cause: thrown };
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT") return new UpstreamError("unavailable", more);
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT") return new UpstreamError("timeout", more);
  if (code?.startsWith("HPE_")) return new UpstreamError("bad_response", more); // not HTTP
  return new UpstreamError(begun ? "cut" : "unavailable", more);
}
