import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Change, decodeHints, encodeHints, type Hint } from "./hints";

/** PostgreSQL refuses a NOTIFY payload of 8000 bytes or more. */
const NOTIFY_BYTES_END = 8_000;

const change = fc.constantFrom<Change>("log", "text", "people", "turns");
const hint = fc.record({
  orgId: fc.integer({ min: 0, max: 9 }).map((n) => `org_${n}`),
  threadId: fc.integer({ min: 0, max: 5_000 }).map((n) => `thread_${String(n).padStart(26, "0")}`),
  changes: fc.uniqueArray(change, { minLength: 1 }).map((changes) => new Set(changes)),
});
const hints = fc.uniqueArray(hint, { maxLength: 400, selector: ({ orgId, threadId }) => `${orgId}/${threadId}` });

const key = ({ orgId, threadId, changes }: Hint) => `${orgId}/${threadId}:${[...changes].sort()}`;

describe("hints on the wire", () => {
  it("say the same to others, in payloads that fit, and nothing to oneself (SSE-3)", () => {
    fc.assert(
      fc.property(hints, (said) => {
        const payloads = encodeHints("a", said);
        for (const payload of payloads) expect(Buffer.byteLength(payload)).toBeLessThan(NOTIFY_BYTES_END);
        const heard = payloads.flatMap((payload) => {
          const decoded = decodeHints("b", payload);
          if (decoded === null || decoded === "all") throw new Error("these were few enough to be named");
          return decoded;
        });
        expect(heard.map(key).sort()).toEqual(said.map(key).sort());
        expect(payloads.map((payload) => decodeHints("a", payload))).toEqual(payloads.map(() => null));
      }),
    );
  });

  it("become one `all` when they are too many (SSE-3)", () => {
    const many = Array.from({ length: 5_000 }, (_, n) => ({
      orgId: `org_${n}`,
      threadId: `thread_${n}`,
      changes: new Set<Change>(["log"]),
    }));
    expect(encodeHints("a", many).map((payload) => decodeHints("b", payload))).toEqual(["all"]);
  });

  it("of another version lose only what this one does not know; what cannot be read means everything (SSE-4)", () => {
    const newer = JSON.stringify({ from: "b", hints: { org_1: { thread_1: "lz" } }, more: 1 });
    expect(decodeHints("a", newer)).toEqual([{ orgId: "org_1", threadId: "thread_1", changes: new Set(["log"]) }]);
    for (const text of ["", "{", "7", "null", '{"from":"b"}', '{"from":"b","hints":{"org_1":{"thread_1":7}}}'])
      expect(decodeHints("a", text)).toBe("all");
  });
});
