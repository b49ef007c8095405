import { expect, it } from "vitest";
import { seal, unseal } from "./seal";

it("opens for its owner with its secret only, and not when a bit of it changed (SEC-1)", () => {
  const sealed = seal("sk-canary-1234", "org_a openai", "secret");
  expect(sealed.toString("latin1")).not.toContain("canary");
  expect(unseal(sealed, "org_a openai", "secret")).toBe("sk-canary-1234");
  expect(unseal(sealed, "org_b openai", "secret")).toBeNull();
  expect(unseal(sealed, "org_a openai", "another")).toBeNull();
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(unseal(changed, "org_a openai", "secret")).toBeNull();
  }
  expect(unseal(Buffer.alloc(3), "org_a openai", "secret")).toBeNull();
});

it("is another text each time", () => {
  expect(seal("a", "o", "s").equals(seal("a", "o", "s"))).toBe(false);
});
