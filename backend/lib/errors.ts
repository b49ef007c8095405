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

export function hasContext(error: unknown): boolean {
  return (
    error instanceof APIError &&
    typeof error.details === "object" &&
    error.details !== null &&
    "context" in error.details
  );
}

/**
 * The same error, with the conversation it happened in. What was not thrown on purpose becomes an internal error, whose cause the log
 * has and the answer has not.
 */
export function inContext(error: unknown, context: object | null): APIError {
  if (error instanceof APIError)
    return new APIError(error.code, error.message).withDetails({ ...error.details, context });
  return new APIError(
    ErrCode.Internal,
    "unexpected error",
    error instanceof Error ? error : new Error(String(error)),
  ).withDetails({
    reason: "internal",
    hint: "Try again in a moment. If it stays, the server's log knows more.",
    context,
  });
}

export type Noun =
  | "thread"
  | "agent"
  | "agent version"
  | "turn"
  | "message"
  | "branch"
  | "participant"
  | "person"
  | "invitation"
  | "API key"
  | "organization"
  | "limit"
  | "model credential"
  | "erasure";

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
