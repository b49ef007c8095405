import { expect, it } from "vitest";
import { testStamp } from "../lib/test-stamp";
import { chartOf, forReadme, lateness, type Phase, type Result, report } from "./report";

it("compares each piece with when the other reader had all of it", () => {
  const near = [
    { end: 2, at: 10 },
    { end: 4, at: 30 },
    { end: 6, at: 50 },
    { end: 9, at: 70 },
  ];
  const far = [
    { end: 3, at: 40 },
    { end: 6, at: 90 },
  ];
  expect(lateness(near, far)).toEqual([30, 60, 40]); // the last one never came
  expect(lateness(near, near)).toEqual([0, 0, 0, 0]);
});

const phase = (carrier: Phase["carrier"], across: number, hints: number): Phase => ({
  carrier,
  round: 0,
  seconds: 10,
  speaking: 2,
  messages_per_second: 1,
  messages: { within: [5], across: [across] },
  words_later: [20],
  hints_per_second: [{ node: "a", mean: hints, most: 21 }],
  cpu_seconds: { graphyn_a: 1, graphyn_b: 2, postgres: 4 },
});
const result: Result = {
  ...testStamp("nodes"),
  seconds: 1,
  others_cpu_share: 0,
  phases: [phase("PostgreSQL", 60, 19), phase("Redis", 130, 30)],
};

it("says what was measured and which bars were missed", () => {
  const text = report(result);
  expect(text).toContain("| PostgreSQL | 5.0 / 5.0 | 60 / 60 | 20 / 20 | 19.0 (21) | 0.30 / 0.40 |");
  expect(text).toContain(
    "| PostgreSQL: words, later than in their own process, p99 | < 100 ms | 20 ms | 20 to 20 | met |",
  );
  expect(text).toContain("| PostgreSQL: hints a second and process | about 20 at most | 19.0 | 19.0 to 19.0 | met |");
  expect(text).toContain(
    "Redis: a message, later than in its own process, p99 | < 100 ms | 125 ms | 125 to 125 | **missed** |",
  );
  expect(text).toContain(
    "Redis: the same from its POST, with the commit to disk, p99 | < 100 ms | 130 ms | 130 to 130 | **missed** |",
  );
  expect(text).toContain(
    "PostgreSQL: a message, later than in its own process, p99 | < 100 ms | 55 ms | 55 to 55 | met |",
  );
  expect(text).toContain("| Redis: hints a second and process | about 20 at most | 30.0 | 30.0 to 30.0 | **missed** |");
  expect(forReadme(result)).toContain("bench/results/nodes.svg");
  expect(chartOf(result)).toContain(">PostgreSQL: words, later there<");
});
