import { describe, expect, it } from "vitest";
import { seededRandom } from "../../bench/lib/stats";
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
  before_tokens: 40,
  before_reserved: 20,
  before_requests: 2,
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
      requests_per_minute: 0,
      tokens_per_minute: -40,
      tokens_per_month: 800,
      cost_micros_per_month: 5,
    });
  });

  it("is less by as much of the minute before as the last sixty seconds reach into it, though nobody has counted since", () => {
    const minute = (at: string) => {
      const { requests_per_minute, tokens_per_minute } = lefts(at);
      return [requests_per_minute, tokens_per_minute];
    };
    expect(minute("2026-11-30T23:59:00Z")).toEqual([-1, -70]);
    expect(minute("2026-11-30T23:59:59.999Z")).toEqual([1, -10]);
    expect(minute("2026-12-01T00:00:00Z")).toEqual([1, -10]);
    expect(minute("2026-12-01T00:00:45Z")).toEqual([4, 80]);
    expect(minute("2026-12-01T00:01:00Z")).toEqual([4, 110]);
    expect(lefts("2026-12-01T00:00:00Z")).toMatchObject({ tokens_per_month: 2_000, cost_micros_per_month: 60 }); // months do not slide
  });

  it("lets through who asks evenly, minute after minute", () => {
    for (const limit of [1, 3, 60]) {
      const counted = { ...row, minute_requests: 0, before_requests: 0 };
      for (let asked = 0; asked < 5 * limit; asked++) {
        const at = row.minute_at.getTime() + 1 + Math.ceil((asked * 60_000) / limit); // a little after the full minute
        const minutes = Math.floor(at / 60_000) - counted.minute_at.getTime() / 60_000;
        if (minutes > 0) {
          Object.assign(counted, { before_requests: minutes === 1 ? counted.minute_requests : 0, minute_requests: 0 });
          counted.minute_at = new Date(at - (at % 60_000));
        }
        counted.minute_requests++;
        const [state] = statesOf(counted, { ...NONE, requests_per_minute: limit }, new Date(at));
        expect(state?.left).toBeGreaterThanOrEqual(0);
      }
    }
  });

  it("fits what was refused when it says so, and not before", () => {
    const random = seededRandom(7);
    const whole = (max: number) => Math.floor(random() * max);
    let refused = 0;
    for (let round = 0; round < 5_000; round++) {
      const asked = 1 + whole(60);
      const taken = {
        minute_tokens: whole(100),
        minute_reserved: whole(50),
        before_tokens: whole(100),
        before_reserved: whole(50),
      };
      const at = row.minute_at.getTime() + whole(60_000);
      const left = (reserved: number, ms: number) =>
        statesOf(
          { ...row, ...taken, minute_reserved: reserved },
          { ...NONE, tokens_per_minute: 100 },
          new Date(at + ms),
        )[0];
      const state = left(taken.minute_reserved + asked, 0);
      const fitsMs = state?.fitsMs(asked) ?? 0;
      if ((state?.left ?? 0) >= 0) expect(fitsMs).toBe(0);
      else {
        refused++;
        expect(left(taken.minute_reserved, fitsMs)?.left).toBeGreaterThanOrEqual(asked);
        expect(left(taken.minute_reserved, fitsMs - 2)?.left ?? 0).toBeLessThan(asked);
      }
    }
    expect(refused).toBeGreaterThan(1_000);
    const [never] = statesOf(row, { ...NONE, tokens_per_minute: 110 }, row.minute_at);
    expect(never?.fitsMs(111)).toBeNull();
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
        fitsMs: expect.any(Function),
      },
    ]);
    const [over] = statesOf(row, { ...NONE, tokens_per_month: 1_000 }, new Date("2026-11-30T23:59:30Z"));
    expect(over?.fitsMs(500)).toBe(30_000); // of 1 200 that are counted
    const [minute] = statesOf(row, { ...NONE, tokens_per_minute: 200 }, new Date("2026-11-30T23:59:30Z"));
    expect(minute).toMatchObject({ left: 50, windowMs: 60_000, resetMs: 90_000 });
  });
});
