/** What becomes of something thrown, for the log. */

import { expect, it } from "vitest";
import { failure, fromThrown, stackOf } from "../../src/runtime/errors.js";

it("the text of a stack is made when the log asks for it, and not before", () => {
  let asked = 0;
  const thrown = {
    code: "unauthenticated",
    message: "no",
    get stack() {
      asked++;
      return "Error: no\n    at somewhere";
    },
  };
  const refused = fromThrown(thrown);
  expect(asked).toBe(0);
  expect(stackOf(refused)).toBe("Error: no\n    at somewhere");
  expect(stackOf(fromThrown("a text"))).toBeUndefined();
  expect(stackOf(failure("not_found", "no such thing"))).toBeUndefined();
});
