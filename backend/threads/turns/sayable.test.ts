import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeSayable } from "./sayable";

describe("what an agent may say", () => {
  it("is a whole character however it was cut in pieces (SSE-1)", () => {
    const sayable = makeSayable();
    expect(["a\ud83d", "\ude00b"].map(sayable)).toEqual(["a", "\u{1f600}b"]);
  });

  it("holds no U+0000 and no half characters (THR-3)", () => {
    const sayable = makeSayable();
    expect(["a\0b", "\ude00", "\ud83d", "x"].map(sayable)).toEqual(["ab", "\ufffd", "", "\ufffdx"]);
  });

  it("is unchanged where every character is whole (SSE-1)", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.nat(), (text, at) => {
        const whole = text.replaceAll("\0", "");
        const cut = at % (whole.length + 1);
        const sayable = makeSayable();
        expect(sayable(whole.slice(0, cut)) + sayable(whole.slice(cut))).toBe(whole);
      }),
    );
  });
});
