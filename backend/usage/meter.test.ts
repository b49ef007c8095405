import { describe, expect, it } from "vitest";
import type { LimitName } from "../lib/events";
import { estimateUsage, usageOf } from "../models/metering/usage";
import { ANSWER_TOKENS } from "./estimates";
import { makeMeter } from "./meter";

const LIMIT: LimitName = { scope: "organization", scope_id: "org_1", metric: "tokens_per_month" };
const price = { prompt: 2, completion: 8, cachedPrompt: 1 };
const call = (promptChars: number, priced = false) => ({
  model: "dev",
  price: priced ? price : null,
  estimate: (chars: number) => estimateUsage({ messages: "x".repeat(promptChars) }, chars),
});

/** A budget of so many tokens, of which `reserved` are set aside already. */
function budget(left: number, reserved: { tokens: number; costMicros: number } | null) {
  const seen = { extensions: 0, granted: 0, stops: 0 };
  const meter = makeMeter({
    reserved,
    extend: async ({ tokens }) => {
      seen.extensions++;
      if (tokens > left) return LIMIT;
      left -= tokens;
      seen.granted += tokens;
      return null;
    },
    beside: async ({ tokens }) => (tokens > left ? LIMIT : null),
    stop: () => {
      seen.stops++;
    },
  });
  return { meter, seen };
}

/** Says pieces until it may say no more; how many were passed on. */
async function say(meter: ReturnType<typeof makeMeter>, pieces: number, chars: number): Promise<number> {
  for (let said = 0; said < pieces; said++) {
    if (!(await meter.heard(chars))) return said;
  }
  return pieces;
}

describe("what a turn takes (SEC-5)", () => {
  it("is counted and never stopped where no limit holds", async () => {
    const { meter, seen } = budget(0, null);
    expect(await meter.ask(call(400))).toBe(true);
    expect(await say(meter, 5_000, 4)).toBe(5_000);
    meter.ended(usageOf(100, 5_000), true);
    expect(meter.close()).toMatchObject({ prompt_tokens: 100, completion_tokens: 5_000, estimated: false });
    expect(seen).toEqual({ extensions: 0, granted: 0, stops: 0 });
  });

  it.each([1, 3, 4, 9, 700])(
    "is never passed on beyond what is set aside, in pieces of %i characters",
    async (chars) => {
      const budgeted = 3_000;
      const { meter, seen } = budget(budgeted, { tokens: 1_000, costMicros: 0 });
      expect(await meter.ask(call(400))).toBe(true);
      await say(meter, 20_000, chars);
      const spent = meter.close();
      const total = (spent?.prompt_tokens ?? 0) + (spent?.completion_tokens ?? 0);
      expect(seen.stops).toBeGreaterThan(0);
      expect(meter.spentLimit()).toEqual(LIMIT);
      expect(total).toBeLessThanOrEqual(1_000 + seen.granted);
      // Little of the budget is left: the margin of the prompt's estimate, the last slice, and a piece that did not fit.
      expect(total).toBeGreaterThan(1_000 + budgeted - 34 - 16 - chars);
    },
  );

  it("is set aside ahead, in slices, so that hardly a piece waits", async () => {
    const { meter, seen } = budget(100_000, { tokens: 700, costMicros: 0 });
    await meter.ask(call(0));
    let waited = 0;
    for (let said = 0; said < 5_000; said++) {
      const may = meter.heard(4);
      if (may !== true) waited++;
      await may;
      await Promise.resolve();
      await Promise.resolve();
    }
    expect(waited).toBe(0);
    expect(seen.extensions).toBeLessThan(5_000 / (ANSWER_TOKENS / 2));
  });

  it("is not begun when the prompt alone does not fit", async () => {
    const { meter, seen } = budget(100, { tokens: 600, costMicros: 0 });
    expect(await meter.ask(call(100_000))).toBe(false);
    expect(seen.stops).toBe(1);
    expect(meter.close()).toBeNull();
  });

  it("adds up over calls, with money at each one's price, and no money where one has none", async () => {
    const { meter } = budget(0, null);
    await meter.ask(call(0, true));
    meter.ended({ ...usageOf(100, 10), cached_tokens: 40 }, true);
    await meter.ask(call(0, true));
    meter.ended(usageOf(200, 5), true);
    const expected = { prompt_tokens: 300, completion_tokens: 15, cached_tokens: 40 };
    expect(meter.close()).toMatchObject({ ...expected, cost_micros: 60 * 2 + 40 + 10 * 8 + 200 * 2 + 5 * 8 });

    const { meter: partly } = budget(0, null);
    await partly.ask(call(0, true));
    partly.ended(usageOf(100, 10), true);
    await partly.ask(call(0));
    partly.ended(usageOf(1, 1), true);
    expect(partly.close()).toMatchObject({ prompt_tokens: 101, cost_micros: null });
  });

  it("of a call that broke off is estimated; of one that was refused it is nothing", async () => {
    const { meter } = budget(0, null);
    await meter.ask(call(400));
    await say(meter, 10, 8);
    expect(meter.ended(null, true)).toMatchObject({ completion_tokens: 20, estimated: true });
    await meter.ask(call(400));
    expect(meter.ended(null, false)).toBeNull();
    expect(meter.close()).toMatchObject({ completion_tokens: 20, estimated: true });
    expect(await meter.ask(call(4))).toBe(false); // the turn has ended
  });

  it("is stopped where its call was too long, and a summary of as much does not fit", async () => {
    for (const [left, stops] of [
      [2_000 / 4 + ANSWER_TOKENS, 0],
      [2_000 / 4 + ANSWER_TOKENS - 1, 1],
    ] as const) {
      const { meter, seen } = budget(left, null);
      await meter.stopWithoutSummary();
      expect(seen.stops).toBe(0); // it has asked nothing
      await meter.ask({ ...call(0), estimate: (chars) => usageOf(2_000 / 4, chars / 4) });
      meter.ended(null, false);
      await meter.stopWithoutSummary();
      expect([seen.stops, meter.spentLimit()]).toEqual([stops, stops === 1 ? LIMIT : null]);
    }
  });
});
