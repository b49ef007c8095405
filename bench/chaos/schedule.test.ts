import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { schedule } from "./schedule";

const NAMES = ["a", "b", "c", "d", "e"] as const;

describe("the schedule of a round", () => {
  it("is the same for the same seed, and another for another one", () => {
    const of = (seed: number) => schedule(seed, { names: NAMES, count: 7, ms: 30_000 });
    expect(of(5)).toEqual(of(5));
    expect(of(5)).not.toEqual(of(6));
  });

  it("has every fault before any comes again, in order, and ends before the round does", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 5, max: 20 }), (seed, count) => {
        const planned = schedule(seed, { names: NAMES, count, ms: 10_000 });
        expect(planned).toHaveLength(count);
        expect(new Set(planned.slice(0, NAMES.length).map(({ name }) => name)).size).toBe(NAMES.length);
        expect(planned.map(({ at }) => at)).toEqual(planned.map(({ at }) => at).toSorted((a, b) => a - b));
        expect(planned.every(({ at }) => at >= 0 && at <= 9_000)).toBe(true);
      }),
    );
  });
});
