import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs } from "./backoff";

describe("the wait before connecting again", () => {
  it("is random below a bound that doubles up to 30 s, and never less than the server asked for (WS-2)", () => {
    fc.assert(
      fc.property(
        fc.nat(10_000),
        fc.nat(60_000),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (failures, afterMs, random) => {
          const wait = backoffMs(failures, afterMs, () => random);
          expect(wait).toBeGreaterThanOrEqual(afterMs);
          expect(wait).toBeLessThanOrEqual(afterMs + Math.min(30_000, 250 * 2 ** Math.min(failures, 20)));
        },
      ),
    );
    expect(backoffMs(0, 0, () => 0.5)).toBe(125);
    expect(backoffMs(3, 500, () => 0.5)).toBe(1_500);
  });
});
