import { describe, expect, it } from "vitest";
import { type Amounts, type LimitRow, statesOf } from "./limit";

const NONE: Amounts = {
  requests_per_minute: null,
  tokens_per_minute: null,
  tokens_per_month: null,
  cost_micros_per_month: null,
};
const row: LimitRow = {
  ...NONE,
  scope: "key",
  scope_id: "key_1",
  minute_at: new Date("2026-11-30T23:59:00Z"),
  minute_tokens: 100,
  minute_reserved: 20,
  minute_requests: 3,
  month_at: new Date("2026-11-01T00:00:00Z"),
  month_tokens: 1_000,
  month_reserved: 200,
  month_cost: 50,
  month_cost_reserved: 5,
};
const all = { requests_per_minute: 4, tokens_per_minute: 110, tokens_per_month: 2_000, cost_micros_per_month: 60 };
const lefts = (at: string, amounts: Partial<Amounts> = all) =>
  Object.fromEntries(statesOf(row, { ...NONE, ...amounts }, new Date(at)).map(({ metric, left }) => [metric, left]));

describe("what is left of a limit (SEC-5)", () => {
  it("is the limit without what is spent and what is set aside, and may be less than nothing", () => {
    expect(lefts("2026-11-30T23:59:30Z")).toEqual({
      requests_per_minute: 1,
      tokens_per_minute: -10,
      tokens_per_month: 800,
      cost_micros_per_month: 5,
    });
  });

  it("is all of it in a minute or month that has just begun, though nobody has counted in it", () => {
    expect(lefts("2026-12-01T00:00:00Z")).toEqual(all);
  });

  it("is not asked for a minute or month that is over: what was asked then is held to nothing new", () => {
    expect(lefts("2026-11-30T23:58:59.999Z")).toEqual({ tokens_per_month: 800, cost_micros_per_month: 5 });
    expect(lefts("2026-10-31T23:59:59Z")).toEqual({});
  });

  it("is said only of what is limited, with the time until its window ends", () => {
    const states = statesOf(row, { ...NONE, tokens_per_month: 2_000 }, new Date("2026-11-30T23:59:30Z"));
    expect(states).toEqual([
      {
        scope: "key",
        scope_id: "key_1",
        metric: "tokens_per_month",
        limit: 2_000,
        left: 800,
        windowMs: 30 * 86_400_000,
        resetMs: 30_000,
      },
    ]);
  });
});
