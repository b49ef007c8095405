import { describe, expect, it } from "vitest";
import type { LimitState } from "./limit";
import { rateLimitFields } from "./rate-limit-fields";

const state: LimitState = {
  scope: "organization",
  scope_id: "org_1",
  metric: "tokens_per_minute",
  limit: 1_000,
  left: -200,
  windowMs: 60_000,
  resetMs: 1_500,
  fitsMs: () => 1_500,
};

describe("RateLimit-Policy and RateLimit (SEC-5)", () => {
  it("name each limit with its quota, unit and window, and what is left for how many seconds", () => {
    const month = { ...state, metric: "cost_micros_per_month" as const, left: 12, windowMs: 86_400_000 * 30 };
    expect(rateLimitFields([state, month])).toEqual({
      rate_limit_policy:
        '"organization-tokens-per-minute";q=1000;qu="tokens";w=60, "organization-cost-micros-per-month";q=1000;qu="usd-micros";w=2592000',
      rate_limit: '"organization-tokens-per-minute";r=0;t=2, "organization-cost-micros-per-month";r=12;t=2',
    });
  });

  it("name of several agents' limits the tightest, and nothing where no limit holds", () => {
    const agents = [50, 7, 90].map((left, at) => ({
      ...state,
      scope: "agent" as const,
      scope_id: `agent_${at}`,
      left,
    }));
    expect(rateLimitFields(agents).rate_limit).toBe('"agent-tokens-per-minute";r=7;t=2');
    expect(rateLimitFields([])).toEqual({});
  });
});
