import { describe, expect, it } from "vitest";
import { readCeilings } from "./ceilings";

describe("GRAPHYN_ORG_LIMITS (SEC-5)", () => {
  it("is a JSON object of amounts; what is left out is not limited", () => {
    expect(readCeilings('{"tokens_per_month": 5}')).toMatchObject({ tokens_per_month: 5, requests_per_minute: null });
    expect(Object.values(readCeilings(""))).toEqual([null, null, null, null]);
  });

  it.each(["5", "[1]", "{", '{"tokens": 1}', '{"tokens_per_month": -1}', '{"tokens_per_month": "1"}', "null"])(
    "is refused with a sentence when it is %s",
    (text) => {
      expect(() => readCeilings(text)).toThrow("GRAPHYN_ORG_LIMITS must be a JSON object");
    },
  );
});
