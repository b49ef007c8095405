import type { LimitState } from "./limit";

/** A limit's name in the headers RateLimit-Policy and RateLimit, and in errors. */
export function policyOf({ scope, metric }: Pick<LimitState, "scope" | "metric">): string {
  return `${scope}-${metric}`.replaceAll("_", "-");
}

/** The unit of each, in the policy's parameter `qu`. Of these only `requests` is registered; others are our own. */
const QUOTA_UNITS = {
  requests_per_minute: "requests",
  tokens_per_minute: "tokens",
  tokens_per_month: "tokens",
  cost_micros_per_month: "usd-micros",
} as const;

/** Agents of one message may each have limits; a header is no place for hundreds. The tightest are told. */
const POLICIES_TOLD_MAX = 12;

export interface RateLimitFields {
  rate_limit_policy?: string;
  rate_limit?: string;
}

/**
 * The response headers of draft-ietf-httpapi-ratelimit-headers-11: what the limits are (quota and window in seconds), and what of them is
 * left for how many seconds. None where no limit holds.
 */
export function rateLimitFields(states: LimitState[]): RateLimitFields {
  if (states.length === 0) return {};
  const tightest = new Map<string, LimitState>();
  for (const state of states.toSorted((a, b) => a.left / a.limit - b.left / b.limit)) {
    const policy = policyOf(state);
    if (!tightest.has(policy) && tightest.size < POLICIES_TOLD_MAX) tightest.set(policy, state);
  }
  const told = [...tightest];
  return {
    rate_limit_policy: told
      .map(
        ([name, { metric, limit, windowMs }]) =>
          `"${name}";q=${limit};qu="${QUOTA_UNITS[metric]}";w=${seconds(windowMs)}`,
      )
      .join(", "),
    rate_limit: told
      .map(([name, { left, resetMs }]) => `"${name}";r=${Math.max(0, left)};t=${seconds(resetMs)}`)
      .join(", "),
  };
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1_000);
}
