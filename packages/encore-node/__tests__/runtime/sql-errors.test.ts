/** What of a database error leaves the driver: outside the local environment, nothing that quotes a row. */

import { describe, expect, it } from "vitest";
import { fullMessage, shortMessage } from "../../src/runtime/sql/errors.js";

const failure = (code: string) =>
  Object.assign(new Error("null value in column"), {
    severity: "ERROR",
    code,
    detail: "Failing row contains (planted).",
    where: "JSON data, line 1: planted",
    hint: "a hint",
  });

describe("database errors", () => {
  it.each(["22P02", "23502", "23505"])("quote no row outside the local environment: %s", (code) => {
    for (const message of [shortMessage(failure(code), false), fullMessage(failure(code), false)]) {
      expect(message).not.toContain("planted");
      expect(message).toContain("null value in column");
      expect(message).toContain("a hint");
    }
  });

  it("are as Encore prints them in the local environment", () => {
    expect(shortMessage(failure("23505"), true)).toContain("DETAIL: Failing row contains (planted).");
    expect(fullMessage(failure("23505"), true)).toContain("JSON data, line 1: planted");
  });

  it("keep the details that speak of the schema", () => {
    expect(shortMessage(failure("42P01"), false)).toContain("DETAIL: ");
  });
});
