import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressed } from "./mentions";

const ROOM = [
  { id: "ada", name: "Ada" },
  { id: "byron", name: "Ada Byron" },
  { id: "annemarie", name: "Anne-Marie" },
  { id: "cpp", name: "C++ Helper" },
  { id: "ming", name: "小明" },
  { id: "zoe", name: "Zoë" },
  { id: "twin1", name: "Twin" },
  { id: "twin2", name: "TWIN" },
];
const found = (text: string) => addressed(text, ROOM).flat();

describe("addressed", () => {
  it.each([
    ["@Ada hello", ["ada"]],
    ["hello @ada.", ["ada"]],
    ["(@ADA) and, @Zoë!", ["ada", "zoe"]],
    ["@Ada's plan; @Ada’s plan", ["ada"]],
    ["@Ada: what do you think?", ["ada"]],
    ["@Ada... well", ["ada"]],
    ["@Ada Byron, please", ["byron"]],
    ["@ada   byron, please", ["byron"]],
    ["@Ada Byrons", ["ada"]],
    ["@Ada\nByron", ["ada"]],
    ['@"Ada Byron" and @“Ada”', ["byron", "ada"]],
    ['@"Ada B" nobody', []],
    ["@Anne-Marie", ["annemarie"]],
    ["@C++ Helper?", ["cpp"]],
    ["你好@小明你好", ["ming"]],
    ["@Zoe\u0308 decomposed", ["zoe"]],
    ["two: @Twin", ["twin1", "twin2"]],
    ["@Ada @Ada @ada", ["ada"]],
  ])("finds whom %j addresses (AGT-2)", (text, ids) => {
    expect(found(text)).toEqual(ids);
  });

  it.each([
    "write to me@ada.com or x.y+z@ada",
    "ada@Ada",
    "@Ada@social.example",
    "@ada.com and @ada/package and @ada-lovelace and @Adam and @ada_1",
    "https://example.org/@Ada",
    "\\@Ada",
    "`@Ada`, ``a ` @Ada``",
    "```\n@Ada\n```",
    "~~~ts\n@Ada\n",
    "````\n```\n@Ada\n````",
    "`a\n@Ada`",
    "@ Ada",
    "@",
    '@"Ada',
    "Ada",
  ])("addresses nobody in %j (AGT-2)", (text) => {
    expect(found(text)).toEqual([]);
  });

  it.each(["` @Ada", "`` @Ada `", "`a\n\n@Ada`", "`x` @Ada `y`", "```\ncode\n```\n@Ada", "``` `x` @Ada"])(
    "is not misled by what is no code around %j (AGT-2)",
    (text) => {
      expect(found(text)).toEqual(["ada"]);
    },
  );

  it("finds a name between any words that are no part of it, whatever its case (AGT-2)", () => {
    const word = fc.stringMatching(/^[a-z]{1,8}$/);
    const name = fc.stringMatching(/^[A-Z][a-z]{1,8}( [A-Z][a-z]{1,8}){0,2}$/);
    fc.assert(
      fc.property(name, fc.array(word), fc.array(word), fc.boolean(), (called, before, after, upper) => {
        const text = [...before, `@${upper ? called.toUpperCase() : called},`, ...after].join(" ");
        expect(addressed(text, [{ id: "it", name: called }])).toEqual([["it"]]);
      }),
    );
  });

  it("takes any text, in time that grows with its length (AGT-2)", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("@", "`", '"', "\n", "a", "~", " ", "Ada", "\\") }), (text) => {
        expect(Array.isArray(addressed(text, ROOM))).toBe(true);
      }),
    );
    // A million characters each; quadratic work would not come back.
    for (const unit of ["@", "`", "` ``", "@ada byro", "~~~\n", '@"a', "`\n"])
      expect(Array.isArray(addressed(unit.repeat(Math.ceil(1_000_000 / unit.length)), ROOM))).toBe(true);
  });
});
