import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeBucket } from "./bucket";

describe("a bucket", () => {
  it("gives its size at once, then so many a second and no more, and says how long to wait (WS-1)", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.nat(500), { maxLength: 300 }),
        (size, perSecond, pauses) => {
          const bucket = makeBucket({ size, perSecond });
          let now = 0;
          let taken = 0;
          for (const pause of pauses) {
            now += pause;
            const wait = bucket.take(now);
            if (wait === 0) taken++;
            expect(taken).toBeLessThanOrEqual(size + (now * perSecond) / 1000 + 1e-6);
            if (wait > 0) expect(bucket.take(now + wait)).toBe(0);
            if (wait > 0) {
              now += wait;
              taken++;
            }
          }
        },
      ),
    );
  });
});
