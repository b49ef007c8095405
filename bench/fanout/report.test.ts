import { describe, expect, it } from "vitest";
import { delays } from "./deliver";
import { type Delivered, perCpuSecond } from "./report";

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
    expect(delays(heard, sent)).toEqual([1, 3, 2]);
  });
});
