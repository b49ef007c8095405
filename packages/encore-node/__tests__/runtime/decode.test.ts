/** Decoder and encoder against what serde, chrono and malachite do, and against JSON.parse on anything. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Decimal } from "../../src/runtime/decimal.js";
import { decodeAny, decodeJson } from "../../src/runtime/json/decode.js";
import { encodeJson, numberText } from "../../src/runtime/json/write.js";
import { parseRfc3339, rfc3339 } from "../../src/runtime/schema/datetime.js";
import { isEmail } from "../../src/runtime/schema/email.js";
import { SchemaCompiler } from "../../src/runtime/schema/node.js";
import { parseRustNumber } from "../../src/runtime/schema/visit.js";

/** Integers beyond 2^53 come as bigints where JSON.parse rounds. */
function withoutBigints(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(withoutBigints);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, withoutBigints(v)]));
}

describe("JSON", () => {
  const plain = fc.jsonValue();

  it("reads every JSON document as JSON.parse does (ENC-1)", () => {
    fc.assert(
      fc.property(plain, (value) => {
        fc.pre(!JSON.stringify(value).includes('"__proto__"'));
        expect(withoutBigints(decodeAny(JSON.stringify(value, null, 1)))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
  it("refuses exactly what JSON.parse refuses, when cut or changed (ENC-1)", () => {
    fc.assert(
      fc.property(plain, fc.nat(), fc.constantFrom("", ",", "]", '"', "x", "1", "\\", "-"), (value, at, insert) => {
        const text = JSON.stringify({ value });
        const i = at % text.length;
        const changed = text.slice(0, i) + insert + text.slice(i + 1);
        const parses = (read: (s: string) => unknown): boolean => {
          try {
            read(changed);
            return true;
          } catch {
            return false;
          }
        };
        // Half a character in an escape, and a number beyond a double, are refused here alone.
        if (parses(JSON.parse)) expect(parses(decodeAny) || /\\ud[89a-f]|\d{3}/i.test(changed)).toBe(true);
        // What follows the value is not read.
        else if (parses(decodeAny)) expect(() => JSON.parse(changed)).toThrow(/after JSON/);
      }),
    );
  });
  it("writes what JSON.parse reads back (ENC-1)", () => {
    fc.assert(
      fc.property(plain, (value) => {
        fc.pre(!JSON.stringify(value).includes('"__proto__"'));
        expect(JSON.parse(encodeJson(value))).toEqual(
          JSON.parse(JSON.stringify(value).replace(/-0(?=[,\]}]|$)/g, "0")),
        );
      }),
    );
  });
  it("says where in bytes, not characters (ENC-1)", () => {
    const node = new SchemaCompiler({}).compile({
      kind: "object",
      fields: [{ name: "é", optional: false, schema: { kind: "number" }, doc: "" }],
    });
    expect(() => decodeJson('{\n "é": "é😀"}', node)).toThrow(
      'é: invalid type: string "é😀", expected a number at line 2 column 15',
    );
  });
});

describe("dates", () => {
  it.each([
    ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"],
    ["2026-01-02t03:04:05.1239z", "2026-01-02T03:04:05.123Z"],
    ["2026-01-02 03:04:05+05:30", "2026-01-01T21:34:05Z"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
    ["2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"],
  ])("reads %s (ENC-1)", (text, printed) => {
    const ms = parseRfc3339(text);
    expect(rfc3339(new Date(ms as number), "Z")).toBe(printed);
  });
  it.each([
    ["x", "premature end of input"],
    ["2026-01-02T03:04:05", "premature end of input"],
    ["2026-01-02T03:04:05.", "premature end of input"],
    ["2026-01-02T03:04:05+05", "premature end of input"],
    ["2026-01-02T03:04:05Zz", "trailing input"],
    ["2026/01/02T03:04:05Z", "input contains invalid characters"],
    ["2026-13-02T03:04:05Z", "input is out of range"],
    ["2026-02-30T03:04:05Z", "input is out of range"],
    ["2026-01-02T24:04:05Z", "input is out of range"],
  ])("refuses %s in chrono's words: %s (ENC-1)", (text, words) => {
    expect(parseRfc3339(text)).toBe(words);
  });
});

describe("numbers", () => {
  it.each([
    ["1.50", "1.5"],
    ["-0", "0"],
    ["1e10", "10000000000"],
    ["0.000001", "0.000001"],
    ["1.5e-10", "1.5e-10"],
    ["123456789012345678901234567890.5", "123456789012345678901234567890.5"],
  ])("prints the decimal %s as %s (ENC-1)", (text, printed) => {
    expect(new Decimal(text).toString()).toBe(printed);
  });
  it("calculates decimals exactly, and endless ones to ten places (ENC-1)", () => {
    expect(new Decimal("0.1").add(new Decimal("0.2")).toString()).toBe("0.3");
    expect(new Decimal("1").div(new Decimal("3")).toString()).toBe("0.3333333333");
    expect(new Decimal("1").div(new Decimal("3")).mul(new Decimal("3")).toString()).toBe("1");
    expect(() => new Decimal("1e16385")).toThrow("decimal exponent out of range: 16385");
  });
  it("reads numbers of a query as Rust parses them (ENC-1)", () => {
    expect(["5", "+5", "-0", "5.", ".5", "1e3", "inf", "NaN"].map(parseRustNumber)).toEqual([
      5,
      5,
      0,
      5,
      0.5,
      1000,
      null,
      null,
    ]);
    expect(["", " 5", "0x5", "5a", "1_000", "e5"].map(parseRustNumber)).toEqual(Array(6).fill(undefined));
    expect(parseRustNumber("9007199254740993")).toBe(9007199254740993n);
  });
  it("writes a number in a header as serde does (ENC-1)", () => {
    expect([5, -1, 4294967296, 0.1, 1e21].map(numberText)).toEqual(["5", "-1", "4294967296.0", "0.1", "1e21"]);
  });
});

it("knows an email address (ENC-1)", () => {
  const good = ["a@b", "a.b+c@example.com", '"a b"@example.com', "é@example.com", "a@[127.0.0.1]"];
  const bad = ["", "x", "@b", "a@", "a b@c", "a..b@c", "a@-b.c", "a@b..c", `${"a".repeat(65)}@b`, "A <a@b>"];
  expect([good.filter((s) => !isEmail(s)), bad.filter(isEmail)]).toEqual([[], []]);
});
