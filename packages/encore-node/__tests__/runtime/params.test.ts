/** Parameters and columns without a server: what goes out as text, and what comes back. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toParam } from "../../src/runtime/sql/params.js";
import { typeOf } from "../../src/runtime/sql/types.js";
import { columnParser, parseArray } from "../../src/runtime/sql/values.js";

const type = (oid: number) => typeOf(oid) as NonNullable<ReturnType<typeof typeOf>>;
const [TEXT, TEXT_ARRAY, JSONB, TIMESTAMPTZ, DATE, BYTEA, NUMERIC, BOOL] = [25, 1009, 3802, 1184, 1082, 17, 1700, 16];

describe("parameters", () => {
  it("writes arrays of any text so that they read back the same (ENC-1)", () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.string().filter((s) => !s.includes("\0")))), (list) => {
        expect(parseArray(toParam(list, type(TEXT_ARRAY)) as string, (s) => s)).toEqual(list);
      }),
    );
  });
  it("writes dates, bytes and JSON by the type asked for (ENC-1)", () => {
    const date = new Date("2026-01-02T03:04:05.678Z");
    expect(toParam(date, type(TIMESTAMPTZ))).toBe("2026-01-02T03:04:05.678+00:00");
    expect(toParam(date, type(DATE))).toBe("2026-01-02");
    expect(toParam(date, type(JSONB))).toBe('"2026-01-02T03:04:05.678Z"');
    expect(toParam(Buffer.from([1, 255]), type(BYTEA))).toBe("\\x01ff");
    expect(toParam("é", type(BYTEA))).toBe("\\xc3a9");
    expect(toParam(null, type(JSONB))).toBe("null");
    expect(toParam(5_000_000_000, type(TEXT))).toBe("5000000000.0");
  });
  it.each([
    [{}, TEXT, "object not supported for column of type text"],
    [true, NUMERIC, "bool not supported for column of type numeric"],
    ["t", BOOL, "string not supported for column of type bool"],
    ["2026-01-02T03:04:05", TIMESTAMPTZ, "premature end of input"],
    [new Date(0), BOOL, "unsupported type for DateTime: bool"],
  ])("refuses %o for type %i (ENC-1)", (value, oid, words) => {
    expect(() => toParam(value, type(oid as number))).toThrow(words as string);
  });
});

describe("columns", () => {
  const read = (oid: number, text: string): unknown => columnParser(type(oid))?.(text);
  it("reads times with any offset and before Christ (ENC-1)", () => {
    expect(read(TIMESTAMPTZ, "2026-01-02 03:04:05.6789+05:30")).toEqual(new Date("2026-01-01T21:34:05.678Z"));
    expect(read(TIMESTAMPTZ, "0044-03-15 12:00:00+00 BC")).toEqual(new Date("-000043-03-15T12:00:00Z"));
    expect(() => read(TIMESTAMPTZ, "infinity")).toThrow("value out of range");
  });
  it("keeps integers whole: numbers where safe, else bigints (ENC-1)", () => {
    expect([read(20, "9007199254740991"), read(20, "-9007199254740993")]).toEqual([
      9007199254740991,
      -9007199254740993n,
    ]);
  });
});
