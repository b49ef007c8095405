import { expect, it } from "vitest";
import type { Visit } from "../lib/arms";
import { testStamp } from "../lib/test-stamp";
import { bars, type Result } from "./report";

const FIRST_TEXT_MS: Record<string, number> = { M: 0, L: 150, R: 155, W: 110, A: 4, AGNO: 60 };
const PER_SECOND: Record<string, number> = { M: 800, L: 3, R: 3, W: 9, A: 9, AGNO: 6 };

function visit(arm: string, round: number, first_text_ms: number, wall_ms = 1, letta = 0.1): Visit {
  return {
    arm,
    round,
    samples: [{ first_text_ms, total_ms: first_text_ms }],
    failures: [],
    wall_ms,
    cpu_seconds: { letta },
  };
}

/** A run in which each arm takes what stands above, and Letta 100 ms of CPU for an answer, or 130 for a long one. */
const rounds = Array.from({ length: 10 }, (_, round) => round);
const arms = Object.keys(FIRST_TEXT_MS);
const result: Result = {
  ...testStamp("gateway"),
  versions: { letta: "0", postgres: "PostgreSQL 16", agno: "3" },
  arms: Object.fromEntries(arms.map((arm) => [arm, arm])),
  seconds: 1,
  others_cpu_share: 0,
  first_text: [0, 300].map((delay_ms) => ({
    delay_ms,
    at_once: 1,
    visits: rounds.flatMap((round) => arms.map((arm) => visit(arm, round, delay_ms + (FIRST_TEXT_MS[arm] ?? 0)))),
  })),
  rates: [20, 300].map((tokens) => ({
    tokens,
    at_once: 1,
    each: 2,
    visits: rounds.flatMap((round) =>
      arms.map((arm) => visit(arm, round, 1, 2000 / (PER_SECOND[arm] ?? 1), tokens === 300 ? 0.26 : 0.2)),
    ),
  })),
  paced: arms.map((arm) => ({ arm, round: 0, delays: Array.from({ length: 300 }, (_, i) => (i < 290 ? 1 : 8)) })),
};

/** Measured value and verdict of each bar. */
const rows = bars(result)
  .split("\n")
  .slice(2)
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map(([, bar = "", , measured, , verdict]) => ({ bar, measured, verdict }));
const row = (begin: string) => rows.find(({ bar }) => bar.startsWith(begin));

it("reads each bar from the arms that it names, and says which were missed", () => {
  expect(row("first text, model 300 ms")).toMatchObject({ measured: "4.0 ms", verdict: "met" });
  expect(row("the same: A − AGNO")).toMatchObject({ measured: "-56 ms", verdict: "met" });
  expect(row("first text, model 0 ms")).toMatchObject({ measured: "37.50", verdict: "met" });
  expect(row("answers/s, 300 tokens, 8 at once: A / L")).toMatchObject({ measured: "3.00", verdict: "met" });
  expect(row("the same: A / AGNO")).toMatchObject({ measured: "1.50", verdict: "**missed**" });
  expect(row("delay of each token")).toMatchObject({ measured: "8.0 ms", verdict: "**missed**" });
  expect(row("Letta's CPU an answer")).toMatchObject({ measured: "30 ms of 100", verdict: "**missed**" });
});
