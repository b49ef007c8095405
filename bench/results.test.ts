import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

/** What the README shows comes from this file, written by `npm run bench:first-token`; nothing is timed here. */
const result = JSON.parse(readFileSync(new URL("./results/first-token.json", import.meta.url), "utf8")) as {
  commit: string;
  scenarios: { at_once: number; visits: Visit[] }[];
  shipped: Visit[];
};

interface Visit {
  arm: string;
  samples: { first_text_ms: number }[];
}

function p50(visits: Visit[], arm: string): number {
  const all = visits.filter((visit) => visit.arm === arm).flatMap(({ samples }) => samples.map((s) => s.first_text_ms));
  return all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN;
}

describe("the committed measurement of the first token", () => {
  const alone = result.scenarios.find(({ at_once }) => at_once === 1)?.visits ?? [];

  it("shows the first text of an answer through a real Letta in under 200 ms (SSE-2)", () => {
    expect(p50(alone, "G/0")).toBeLessThan(200);
  });

  it("shows Letta as Graphyn starts it at least twice as fast as shipped (SSE-2)", () => {
    expect(p50(result.shipped, "shipped") / p50(result.shipped, "started")).toBeGreaterThan(2);
  });

  it("comes from a commit of this repository", () => {
    expect(result.commit).toMatch(/^[0-9a-f]{12,40}$/);
  });
});
