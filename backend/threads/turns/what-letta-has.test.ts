import { describe, expect, it } from "vitest";
import { otidOf } from "./otid";
import { lackingOf, storedOf } from "./what-letta-has";

let at = 0;
function message(kind: string, text: string, run: number, otid: string | null = null) {
  const createdAt = new Date(++at * 1000).toISOString();
  return { id: `message-${at}`, kind, text, otid, runId: `run-${run}`, createdAt };
}

describe("what Letta has of a turn (LET-6)", () => {
  const messages = [
    message("user_message", "before", 1, otidOf("turn_1", 1)),
    message("assistant_message", "earlier", 1),
    message("user_message", "asked", 2, otidOf("turn_2", 2)),
    message("assistant_message", "first step", 2),
    message("tool_return_message", "done", 2),
    message("assistant_message", "second step", 2),
    message("user_message", "after", 3, otidOf("turn_3", 1)),
  ];
  it.each([["in order"], ["as compacting leaves them"]])(
    "is the words of its run, whatever the attempt: %s",
    (order) => {
      const listed = order === "in order" ? messages : messages.toReversed();
      expect(storedOf("turn_2", listed)).toBe("first step\n\nsecond step");
      expect(storedOf("turn_3", listed)).toBe("");
      expect(storedOf("turn_4", listed)).toBeNull();
    },
  );
});

describe("what Letta lacks of an answer (LET-6)", () => {
  it.each([
    ["one two", null, 7],
    ["one two", "", 7],
    ["one two", "one", 4],
    ["one two", "one two", 0],
    ["one two", "one two three", 0], // more than was shown
    ["one two", "another", 7],
    ["a 🙂 b", "a ", 3], // characters, as PostgreSQL counts them
    ["", null, 0],
  ])("%j of which it stored %j: %i characters", (answer, stored, lacks) => {
    expect(lackingOf(answer, stored)).toBe(lacks);
  });
});
