import { expect, test } from "vitest";
import { canonical, sameBody } from "./canonical";

const BODY = {
  model: "m",
  messages: [{ role: "user", content: "hi", tool_calls: [{ id: "1", function: { name: "f", arguments: "{}" } }] }],
  temperature: 0.7,
  stop: null,
};

test.each<[string, Record<string, unknown>, boolean]>([
  ["itself, made anew", structuredClone(BODY), true],
  ["fields in another order", Object.fromEntries(Object.entries(BODY).toReversed()), true],
  ["a field left out that is null", { ...BODY, stop: undefined }, true],
  ["a further field that is null", { ...BODY, seed: null }, true],
  ["another delivery", { ...BODY, stream: true, stream_options: { include_usage: true } }, true],
  ["a further field", { ...BODY, seed: 0 }, false],
  ["a field less", { model: BODY.model, messages: BODY.messages }, false],
  ["another value", { ...BODY, temperature: 0.70001 }, false],
  ["a number as text", { ...BODY, temperature: "0.7" }, false],
  ["a message more", { ...BODY, messages: [...BODY.messages, { role: "user", content: "hi" }] }, false],
  ["a list in an object's place", { ...BODY, messages: { 0: BODY.messages[0] } }, false],
  ["something else deep inside", JSON.parse(JSON.stringify(BODY).replace('"f"', '"g"')), false],
  ["a field that every object inherits", { ...BODY, constructor: null }, true],
  [
    "a field named as what every object inherits",
    JSON.parse(JSON.stringify(BODY).replace("{", '{"__proto__":{},')),
    false,
  ],
  ["a stream inside a message", { ...BODY, messages: [{ ...BODY.messages[0], stream: true }] }, false],
])("two requests ask the same, or not, and both ways of looking agree: %s", (_, other, expected) => {
  expect(sameBody(BODY, other)).toBe(expected);
  expect(sameBody(other, BODY)).toBe(expected);
  expect(canonical(BODY) === canonical(other)).toBe(expected);
});
