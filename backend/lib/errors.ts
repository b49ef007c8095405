import { APIError, ErrCode } from "encore.dev/api";

/**
 * Every error Graphyn throws on purpose: Encore's code (which fixes the HTTP status), a sentence, and in `details` a `reason` that
 * never changes, for programs, and a `hint` that a person can act on. Thread-scoped errors carry the conversation as `context`.
 */
export interface ErrorDetails {
  reason: string;
  hint: string;
  context?: object | null;
  /** More for this reason, named in docs/errors.md. */
  [more: string]: unknown;
}

export function problem(code: ErrCode, reason: string, message: string, hint: string, more: object = {}): APIError {
  return new APIError(code, message).withDetails({ reason, hint, ...more });
}

/** The same error, with the conversation it happened in. An error that has a context already keeps it. */
export function inContext(error: unknown, context: object | null): unknown {
  if (!(error instanceof APIError)) return error;
  const details = (error.details ?? {}) as Record<string, unknown>;
  if ("context" in details) return error;
  return new APIError(error.code, error.message).withDetails({ ...details, context });
}

export type Noun = "thread" | "agent" | "agent version" | "turn" | "participant" | "person" | "API key";

/** Not there and not yours: one answer, made in one place, so that it cannot differ by a byte. */
export function notFound(noun: Noun): APIError {
  const reason = `${noun.toLowerCase().replaceAll(" ", "_")}_not_found`;
  return problem(
    ErrCode.NotFound,
    reason,
    `There is no such ${noun}.`,
    `Check the id: it must be one of your organization's.`,
    { context: null },
  );
}

export function invalid(reason: string, message: string, hint: string, more: object = {}): APIError {
  return problem(ErrCode.InvalidArgument, reason, message, hint, more);
}
