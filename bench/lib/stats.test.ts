import { describe, expect, it } from "vitest";
import { bootstrapInterval, pairedDifference, pairedRatio, quantile, seededRandom, shuffled, summarize } from "./stats";

const rounds = (values: readonly number[]) => new Map(values.map((value, round) => [round, [value]] as const));

describe("quantiles", () => {
  it("agree with type 7 of Hyndman and Fan on known data", () => {
    // numpy.percentile([15, 20, 35, 40, 50], [0, 5, 30, 40, 50, 95, 100])
    const data = [40, 15, 50, 20, 35];
    const expected: [number, number][] = [
      [0, 15],
      [0.05, 16],
      [0.3, 23],
      [0.4, 29],
      [0.5, 35],
      [0.95, 48],
      [1, 50],
    ];
    for (const [q, value] of expected) expect(quantile(data, q)).toBeCloseTo(value, 10);
  });

  it("of one sample are that sample, of none are not a number", () => {
    expect(summarize([7])).toMatchObject({ n: 1, p50: 7, p99: 7, min: 7, max: 7, mean: 7 });
    expect(quantile([], 0.5)).toBeNaN();
  });

  it("do not change the samples", () => {
    const data = [3, 1, 2];
    quantile(data, 0.5);
    expect(data).toEqual([3, 1, 2]);
  });
});

describe("the seeded generator", () => {
  it("repeats for a seed, differs between seeds, and is even", () => {
    const take = (seed: number) => Array.from({ length: 10_000 }, seededRandom(seed));
    const numbers = take(1);
    expect(take(1)).toEqual(numbers);
    expect(take(2)).not.toEqual(numbers);
    expect(numbers.every((x) => x >= 0 && x < 1)).toBe(true);
    for (let tenth = 0; tenth < 10; tenth++) {
      const share = numbers.filter((x) => Math.floor(x * 10) === tenth).length / numbers.length;
      expect(share).toBeGreaterThan(0.085);
      expect(share).toBeLessThan(0.115);
    }
  });

  it("puts every arm first about equally often", () => {
    const random = seededRandom(3);
    const first = new Map<string, number>();
    for (let i = 0; i < 3000; i++) {
      const arm = shuffled(["M", "L", "G"], random)[0] ?? "";
      first.set(arm, (first.get(arm) ?? 0) + 1);
    }
    for (const arm of ["M", "L", "G"]) expect(first.get(arm)).toBeGreaterThan(900);
  });
});

describe("paired differences", () => {
  it("find a shift of 3 under a drift of 100, where the medians' own spread hides it", () => {
    const random = seededRandom(5);
    const drift = Array.from({ length: 60 }, (_, round) => 100 + round * 2 + random());
    const difference = pairedDifference(rounds(drift.map((x) => x + 3 + random() * 0.2)), rounds(drift), 1);
    expect(difference.n).toBe(60);
    expect(difference.p50).toBeCloseTo(3.1, 1);
    expect(difference.p50_ci95.low).toBeGreaterThan(3);
    expect(difference.p50_ci95.high).toBeLessThan(3.2);
  });

  it("include 0 when there is no difference, in about 95 of 100 trials", () => {
    const random = seededRandom(11);
    let covered = 0;
    for (let trial = 0; trial < 100; trial++) {
      const noise = () => rounds(Array.from({ length: 30 }, () => random() * 10));
      const { p50_ci95 } = pairedDifference(noise(), noise(), trial);
      if (p50_ci95.low <= 0 && p50_ci95.high >= 0) covered++;
    }
    expect(covered).toBeGreaterThanOrEqual(88);
  });

  it("count the samples of one round as one unit and leave out rounds without a partner", () => {
    const a = new Map([
      [0, [10, 20]],
      [1, [5]],
      [2, []],
    ]);
    const b = new Map([
      [0, [10]],
      [2, [1]],
    ]);
    expect(pairedDifference(a, b, 1)).toMatchObject({ n: 1, p50: 5, p99: 5 });
  });
});

describe("ratios and intervals", () => {
  it("find a ratio of 2 with an interval around it", () => {
    const random = seededRandom(9);
    const tuned = Array.from({ length: 40 }, () => 100 + random() * 10);
    const shipped = tuned.map(() => 200 + random() * 20);
    const { ratio, ci95 } = pairedRatio(rounds(shipped), rounds(tuned), 1);
    expect(ratio).toBeGreaterThan(1.95);
    expect(ratio).toBeLessThan(2.05);
    expect(ci95.low).toBeLessThan(ratio);
    expect(ci95.high).toBeGreaterThan(ratio);
  });

  it("give the same interval for the same seed", () => {
    const units = [1, 5, 2, 8, 3];
    expect(bootstrapInterval(units, (x) => quantile(x, 0.5), 4)).toEqual(
      bootstrapInterval(units, (x) => quantile(x, 0.5), 4),
    );
  });
});
