import { describe, expect, it } from "vitest";
import { readLettaRequest, withoutNames } from "./letta-request";

const turn = { otid: "otid-2", content: "hello" };
const said = (content: unknown, name?: string) => ({ role: "user", content, ...(name === undefined ? {} : { name }) });
const has = (...messages: object[]) => readLettaRequest({ user: "u", messages }).has(turn);

describe("a request of Letta's", () => {
  it("is for the message that was sent under this name, and for no other in the same words (SSE-2)", () => {
    expect(has(said("hello", "otid-1"), said("hello", "otid-2"))).toBe(true);
    expect(has(said("hello", "otid-1"))).toBe(false);
    expect(has(said("hello", "otid-1"), said("hello"))).toBe(false);
    expect(has({ ...said("hello", "otid-2"), role: "assistant" })).toBe(false);
  });

  it("goes by the words where Letta has no names (SSE-2)", () => {
    expect(has(said(" hello\n"))).toBe(true);
    expect(
      has(
        said([
          { type: "text", text: "hel" },
          { type: "text", text: "lo" },
        ]),
      ),
    ).toBe(true);
    expect(has(said("hello, you"), { role: "assistant", content: "hello" })).toBe(false);
  });

  it("reaches the model without names of ours, and otherwise as it was (SSE-2)", () => {
    const messages = [{ role: "system", content: "s", name: "kept" }, said("hello", "otid-2"), said("more")];
    expect(withoutNames({ model: "m", messages })).toEqual({
      model: "m",
      messages: [messages[0], said("hello"), messages[2]],
    });
  });
});
