import { APIError, ErrCode } from "encore.dev/api";
import { problem } from "../lib/errors";
import type { LimitState } from "./limit";
import { policyOf } from "./rate-limit-fields";

/**
 * What is asked for does not fit a limit. `needed`: what it would have taken, as it was estimated; `remaining`: what is left, so a
 * smaller request may fit.
 */
export function quotaExceeded(state: LimitState, needed: number): APIError {
  const { scope, scope_id, metric, limit, left } = state;
  const remaining = Math.max(0, left + needed);
  const retryMs = state.fitsMs(needed);
  return problem(
    ErrCode.ResourceExhausted,
    "quota_exceeded",
    `${UNITS[metric]}: the limit of this ${scope} is ${limit}, ${remaining} are left, and this takes about ${needed}.`,
    retryMs === null
      ? "It never fits this limit: have an owner or admin of the organization raise it (PUT /limits)."
      : `Try again after ${retryMs} ms, or have an owner or admin of the organization raise the limit (PUT /limits).`,
    {
      policy: policyOf(state),
      scope,
      scope_id,
      metric,
      limit,
      remaining,
      needed,
      retry_after_ms: retryMs,
    },
  );
}

export function isQuotaExceeded(error: unknown): error is APIError {
  return error instanceof APIError && error.details?.reason === "quota_exceeded";
}

const UNITS = {
  requests_per_minute: "Requests a minute",
  tokens_per_minute: "Tokens a minute",
  tokens_per_month: "Tokens a month",
  cost_micros_per_month: "Millionths of a US dollar a month",
} as const;
