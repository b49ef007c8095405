import { expect, it } from "vitest";
import type { Visit } from "../lib/arms";
import { chart } from "../lib/chart";
import { replaceSection } from "../lib/result";
import { quantile, seededRandom } from "../lib/stats";
import { testStamp } from "../lib/test-stamp";
import type { Window } from "./accepted";
import { type Result, report, rowsForChart, summary } from "./report";

const random = seededRandom(1);
const LETTA_MS = 120;
const GRAPHYN_ADDS_MS = 3;

/** A run in which Graphyn adds exactly 3 ms to a Letta that varies by 20, and 1 of 4 requests of one arm fails. */
function visitsOf(atOnce: number): Visit[] {
  return Array.from({ length: 40 }, (_, round) => {
    const letta = LETTA_MS + random() * 20;
    const visit = (arm: string, first_text_ms: number, failures: string[] = []): Visit => ({
      arm,
      round,
      samples: Array.from({ length: atOnce }, () => ({
        first_text_ms,
        total_ms: first_text_ms * 2,
        parts: { own_ms: GRAPHYN_ADDS_MS, before_ms: 2, after_ms: 1, accepted_ms: 5 },
      })),
      failures,
      wall_ms: first_text_ms * 2,
      cpu_seconds: { letta: 0.1, graphyn: 0.01, postgres: 0.02, bench: 0.01 },
    });
    return ["0", "100"].flatMap((key) => [
      visit(`M/${key}`, 1),
      visit(`L/${key}`, letta),
      visit(`G/${key}`, letta + GRAPHYN_ADDS_MS, round % 4 === 0 ? ["the turn failed"] : []),
    ]);
  }).flat();
}

const shipped: Visit[] = Array.from({ length: 20 }, (_, round) =>
  ["started", "shipped"].map((arm) => {
    const first_text_ms = (arm === "shipped" ? 300 : 120) + random();
    return {
      arm,
      round,
      samples: [{ first_text_ms, total_ms: 500 }],
      failures: [],
      wall_ms: 1,
      cpu_seconds: { [arm]: 0.15 },
    };
  }),
).flat();

const accepted: Window[] = [0, 1, 2].flatMap((round) => [
  { arm: "POST", round, done: 600, seconds: 1.5, cpu_seconds: { graphyn: 0.9, postgres: 0.5, bench: 0.3 } },
  { arm: "INSERT", round, done: 3000, seconds: 1.5, cpu_seconds: { graphyn: 0, postgres: 0.9, bench: 0.9 } },
]);

const result: Result = {
  ...testStamp("first-token"),
  load_before: { busy: 0.3, steal: 0, busiest: [], override: true },
  model: "dev-n20",
  versions: { letta: "0.16.8", postgres: "PostgreSQL 16.14", graphyn: {} },
  seconds: 300,
  others_cpu_share: 0.25,
  scenarios: [
    { at_once: 1, visits: visitsOf(1) },
    { at_once: 5, visits: visitsOf(5) },
  ],
  shipped,
  accepted,
};

it("finds what Graphyn adds, the ratio to Letta as shipped, and the share of accepted messages", () => {
  const text = report(result);
  expect(text).toContain("| fresh | 1 | 3.0 (3.0 to 3.0) |");
  expect(text).toMatch(/Letta is 2\.4\d times faster/);
  expect(text).toContain("the POST accepts 0.20 of what the bare INSERT does");
  expect(text).toContain("Other programs used 25 % of the cores meanwhile; the machine was busy before the run");
});

it("counts failures in the arm that had them", () => {
  const row = report(result)
    .split("\n")
    .find((line) => line.startsWith("| G: through Graphyn | fresh | 1 |"));
  expect(row?.endsWith("| 10 |")).toBe(true);
});

it("draws every arm with its median", () => {
  const rows = rowsForChart(result);
  expect(rows).toHaveLength(12);
  const svg = chart("First text", rows);
  for (const { samples } of rows) expect(svg).toContain(`>${quantile(samples, 0.5).toFixed(0)} ms<`);
});

it("puts a short form between the README's marks, and replaces it the next time", () => {
  const readme = "# Graphyn\n\n<!-- bench:first-token -->\n\n## Read on\n";
  const once = replaceSection(readme, "bench:first-token", summary(result));
  expect(once).toContain("| fresh, 1 at once |");
  expect(once).toContain("2.5 times faster to the first text than as shipped");
  expect(once).toContain("accepts 400 messages a second without agents, 0.20 of what");
  const twice = replaceSection(once, "bench:first-token", "nothing");
  expect(twice).toBe("# Graphyn\n\n<!-- bench:first-token -->\nnothing\n<!-- /bench:first-token -->\n\n## Read on\n");
});
