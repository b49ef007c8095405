import { describe, expect, it } from "vitest";
import { testStamp } from "../lib/test-stamp";
import { delays } from "./deliver";
import {
  bars,
  chartOf,
  type Delivered,
  forReadme,
  noticed,
  perCpuSecond,
  perCpuSecondBeyondTurns,
  type Result,
} from "./report";

const one = (arm: Delivered["arm"], deliveries: number, cpu_seconds: number): Delivered => ({
  arm,
  scenario: "one thread",
  round: 0,
  deliveries,
  events: deliveries,
  bytes: 0,
  lost: 0,
  seconds: 1,
  cpu_seconds,
  delay: { n: 1, p50: 1, p90: 1, p99: 1, min: 1, max: 1, mean: 1 },
});

const result: Result = {
  ...testStamp("fanout"),
  seconds: 1,
  others_cpu_share: 0,
  delivered: [one("graphyn", 1000, 2), one("bare", 1000, 1), one("durable", 1000, 4), one("turns", 100, 1.1)],
  storm: {
    readers: 1000,
    storms: [
      { ms: 900, calm: [100, 100], during: [150] },
      { ms: 1200, calm: [100, 100], during: [150, 150] },
    ],
    wrong: [],
  },
  idle: { readers: 5000, heard: 5000, bytes_each: 10_240, resident: [] },
};

describe("the bench of many readers", () => {
  it("counts deliveries for a second of the server's CPU over all rounds (SSE-3)", () => {
    const delivered = [one("graphyn", 100, 1), one("graphyn", 300, 3), one("bare", 500, 1)];
    expect(perCpuSecond(delivered, "graphyn", "one thread")).toBe(100);
    expect(perCpuSecond(delivered, "bare", "one thread")).toBe(500);
  });

  it("takes a piece's delay from the last token that it completes (SSE-3)", () => {
    // "1 2 3": tokens end at 1, 3 and 5 characters.
    const sent = [
      [100, 110, 120],
      [500, 510, 520],
    ];
    const heard = [
      { url: 0, end: 1, at: 101 },
      { url: 0, end: 5, at: 123 },
      { url: 1, end: 4, at: 512 },
    ];
    expect(delays(heard, sent, 3)).toEqual([1, 3, 2]);
  });

  it("says which bars were met, with the turns and beyond them (SSE-3)", () => {
    expect(perCpuSecondBeyondTurns(result.delivered, "one thread")).toBeCloseTo(1000);
    expect(noticed(result.storm, 1)).toEqual({ ratio: 1.5, low: 1.5, high: 1.5 });
    const lines = bars(result).split("\n");
    const line = (start: string) => lines.find((each) => each.startsWith(`| ${start}`));
    expect(line("one thread: deliveries per CPU second")).toContain("| 0.50 | 0.50 to 0.50 | **missed** |");
    expect(line("the same, beyond what the turns take")).toContain("| ≥ 0.70 | 1.00 |  | met |");
    expect(line("the same, of @durable-streams/server's")).toContain("| 2.00 |  |  |");
    expect(line("1000 readers cut off at once")).toContain("| < 5 s | 1200 ms |  | met |");
    expect(line("first text of others meanwhile, p50 (n = 3)")).toContain("| 1.50 × | 1.50 to 1.50 | met |");
    expect(line("memory of an idle reader")).toContain("| 10.0 KB |  | met |");
    expect(forReadme(result)).toContain("bench/results/fanout.svg");
    expect(chartOf(result)).toContain(">Graphyn, one thread<");
  });
});
