import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson, type Json } from "./canonical-json";

describe("canonical JSON", () => {
  it("is one text whatever order fields were set in (SEC-6)", () => {
    expect(canonicalJson({ b: [1, { d: null, c: "ü\n" }], a: true })).toBe('{"a":true,"b":[1,{"c":"ü\\n","d":null}]}');
    expect(canonicalJson({ b: 2, a: 1 })).toBe(canonicalJson({ a: 1, b: 2 }));
  });

  it("reads back as the same value, and is the same text then (SEC-6)", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value as Json);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
