import { describe, expect, it } from "vitest";
import { createRecent } from "./recent";

describe("what was kept last (SSE-2)", () => {
  it("is bounded in number: the one kept longest ago goes first", () => {
    const recent = createRecent<number>({ entriesMax: 2, charsMax: 1_000 });
    recent.set("a", 1, 1);
    recent.set("b", 2, 1);
    recent.set("a", 3, 1);
    recent.set("c", 4, 1);
    expect([recent.get("a"), recent.get("b"), recent.get("c")]).toEqual([3, undefined, 4]);
  });

  it("is bounded in size, counts what was replaced or taken out no more, and keeps nothing that is too large", () => {
    const recent = createRecent<string>({ entriesMax: 100, charsMax: 160 });
    for (let n = 0; n < 50; n++) recent.set("same", `${n}`, 10);
    for (let n = 0; n < 15; n++) recent.set(`k${n}`, `${n}`, 10);
    expect(recent.get("same")).toBe("49");
    expect(recent.delete("same")).toBe("49");
    expect(recent.delete("same")).toBeUndefined();
    recent.set("k15", "15", 10);
    expect(recent.get("k0")).toBe("0");
    recent.set("k16", "16", 10);
    expect([recent.get("k0"), recent.get("k16")]).toEqual([undefined, "16"]);
    recent.set("k16", "large", 11);
    expect(recent.get("k16")).toBeUndefined();
  });
});
