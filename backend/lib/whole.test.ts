import { expect, it } from "vitest";
import { whole } from "./whole";

it("lets whole numbers pass and nothing else", () => {
  for (const value of [0, 1, -7, 2 ** 31 - 1, undefined]) expect(whole("limit", value)).toBe(value);
  for (const value of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, 1e300]) {
    expect(() => whole("limit", value)).toThrow("limit: a whole number is wanted here.");
  }
});
