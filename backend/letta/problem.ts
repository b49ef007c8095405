import { type APIError, ErrCode } from "encore.dev/api";
import { problem } from "../lib/errors";
import { LettaError, type LettaErrorKind } from "../lib/letta-client";

/** What is wrong and what to do about it, in two sentences. */
export function whyNot({ kind, message }: LettaError): string {
  return `${message} ${ANSWERS[kind].hint}`;
}

/** A LettaError as an answer to a client. Other errors pass unchanged. */
export function lettaProblem(error: unknown): APIError | unknown {
  if (!(error instanceof LettaError)) return error;
  const { code, hint } = ANSWERS[error.kind];
  return problem(code, `agent_server_${error.kind}`, error.message, hint, {
    retryable: error.retryable,
    context: null,
  });
}

const AGAIN = "Try again in a few seconds.";
const OPERATOR = "Whoever runs this server must look at GET /letta/health and the log of the agent server.";
const MODEL = "Choose another model, or try again later.";

const ANSWERS: Record<LettaErrorKind, { code: ErrCode; hint: string }> = {
  unavailable: { code: ErrCode.Unavailable, hint: `${AGAIN} GET /letta/health says whether the agent server is back.` },
  overloaded: { code: ErrCode.ResourceExhausted, hint: AGAIN },
  timeout: { code: ErrCode.Unavailable, hint: AGAIN },
  internal: { code: ErrCode.Unavailable, hint: AGAIN },
  bad_response: { code: ErrCode.Unavailable, hint: AGAIN },
  cut: { code: ErrCode.Unavailable, hint: AGAIN },
  model_timeout: { code: ErrCode.Unavailable, hint: MODEL },
  model_failed: { code: ErrCode.Unavailable, hint: MODEL },
  rate_limited: { code: ErrCode.ResourceExhausted, hint: MODEL },
  model_credentials: { code: ErrCode.FailedPrecondition, hint: OPERATOR },
  out_of_credit: { code: ErrCode.FailedPrecondition, hint: OPERATOR },
  context_too_long: { code: ErrCode.FailedPrecondition, hint: "Start a new thread, or shorten what is said." },
  content_refused: { code: ErrCode.FailedPrecondition, hint: "Say it in other words." },
  not_found: { code: ErrCode.FailedPrecondition, hint: OPERATOR },
  conflict: { code: ErrCode.Aborted, hint: AGAIN },
  invalid_request: { code: ErrCode.FailedPrecondition, hint: OPERATOR },
  unauthorized: { code: ErrCode.FailedPrecondition, hint: OPERATOR },
  no_wall: {
    code: ErrCode.FailedPrecondition,
    hint: "Start Letta with LETTA_NO_DEFAULT_ACTOR=true, and let nothing between it and Graphyn drop or change the header user_id.",
  },
  cancelled: { code: ErrCode.Canceled, hint: AGAIN },
};
