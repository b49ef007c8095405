import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CURSOR_CHARS_MAX, entryCursor, formatCursor, parseCursor, turnTag } from "./cursor";
import { newId } from "./ids";

const THREAD = "thread_01h455vb4pex5vsknk084sn02q";
const ANSWER_CHARS_MAX = 1_000_000;

const id = (prefix: string) =>
  fc.array(fc.nat(31), { minLength: 25, maxLength: 25 }).map((digits) => prefix + base32(digits));
const base32 = (digits: number[]) => `0${digits.map((digit) => "0123456789abcdefghjkmnpqrstvwxyz"[digit]).join("")}`;
const cursor = fc.record({
  seq: fc.nat(2 ** 40),
  said: fc
    .uniqueArray(fc.tuple(id("turn_"), fc.integer({ min: 1, max: ANSWER_CHARS_MAX })), {
      maxLength: 5,
      selector: ([turn]) => turnTag(turn),
    })
    .map((turns) => new Map(turns.map(([turn, chars]) => [turnTag(turn), chars]))),
});

describe("a cursor", () => {
  it("is read back as it was written, and needs no escaping in a URL or a header (SSE-4)", () => {
    fc.assert(
      fc.property(id("thread_"), cursor, (thread, at) => {
        const text = formatCursor(thread, at);
        expect(parseCursor(thread, text)).toEqual(at);
        expect(new URLSearchParams(`cursor=${text}`).get("cursor")).toBe(text);
        expect(text).toMatch(/^[0-9a-z.,:~]+$/);
      }),
    );
  });

  it("of another thread is none, whatever it says (SSE-4, SEC-1)", () => {
    fc.assert(
      fc.property(id("thread_"), id("thread_"), cursor, (thread, other, at) => {
        fc.pre(thread !== other);
        expect(parseCursor(other, formatCursor(thread, at))).toBeNull();
      }),
    );
  });

  it("that lost a part, or had one changed, is none: it never means another place (SSE-4)", () => {
    fc.assert(
      fc.property(
        id("thread_"),
        cursor,
        fc.nat(),
        fc.constantFrom(..."0123456789abcz.,:~ "),
        (thread, at, where, char) => {
          const text = formatCursor(thread, at);
          const cut = where % text.length;
          expect(parseCursor(thread, text.slice(0, cut))).toBeNull();
          expect(parseCursor(thread, text.slice(cut + 1))).toBeNull();
          const changed = text.slice(0, cut) + char + text.slice(cut + 1);
          if (changed !== text) expect(parseCursor(thread, changed)).toBeNull();
        },
      ),
    );
  });

  it("is none when it is anything else (SSE-4)", () => {
    for (const text of ["", "0", "12", "~", "12~", "-1~0000000", "01~0000000", "１~0000000", "NaN", "null"])
      expect(parseCursor(THREAD, text)).toBeNull();
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseCursor(THREAD, text)).toBeNull();
      }),
    );
  });

  it("stays short with as many turns as a thread can have, each with the longest answer (SSE-4)", () => {
    const turns = Array.from({ length: 100 }, () => [turnTag(newId("turn")), ANSWER_CHARS_MAX] as const);
    const at = { seq: 10 ** 12, said: new Map(turns) };
    const text = formatCursor(THREAD, at);
    expect(text.length).toBeLessThanOrEqual(CURSOR_CHARS_MAX);
    expect(parseCursor(THREAD, text)).toEqual(at);
  });

  it("leaves turns out rather than grow without bound (SSE-4)", () => {
    const said = new Map(Array.from({ length: 1_000 }, () => [turnTag(newId("turn")), 5] as const));
    const read = parseCursor(THREAD, formatCursor(THREAD, { seq: 3, said }));
    expect(read?.seq).toBe(3);
    expect(read?.said.size).toBeGreaterThanOrEqual(100);
  });

  it("of lists and contexts stands after an entry, before any word of a running turn (THR-4)", () => {
    expect(parseCursor(THREAD, entryCursor(THREAD, 7))).toEqual({ seq: 7, said: new Map() });
  });
});
