import { expect, it } from "vitest";
import { testStamp } from "../lib/test-stamp";
import { allowedRatio, chart, forReadme, growthOf, type Measured, type Result, report } from "./report";

const one = (operation: string, size: number, samples: number[], pages: number): Measured => ({
  axis: "messages",
  size,
  operation,
  rounds: samples.map((sample, round) => ({ round, samples: [sample] })),
  pages,
  queries: 3,
  per_entry: false,
});
const measured = [
  one("steady", 10, [1, 2, 3], 20),
  one("steady", 1000, [1, 2, 3], 22),
  one("steady", 100_000, [1.1, 2.2, 3.3], 24),
  one("linear", 10, [1, 1, 1], 20),
  one("linear", 1000, [1, 1, 1], 20),
  one("linear", 100_000, [50, 60, 70], 20),
  one("bounded", 10, [1, 1, 1], 20),
  one("bounded", 1000, [4, 4, 4], 900),
  one("bounded", 100_000, [5, 5, 5], 1000),
  one("reads all", 10, [1, 1, 1], 20),
  one("reads all", 1000, [1, 1, 1], 60),
  one("reads all", 100_000, [1, 1, 1], 120),
];
const result: Result = {
  ...testStamp("growth"),
  seconds: 1,
  others_cpu_share: 0,
  measured,
  axes: { messages: "Threads of so many messages." },
};

it("allows what grows like a logarithm, from one as from ten", () => {
  expect(allowedRatio(10, 10)).toBe(1);
  expect(allowedRatio(10, 100_000)).toBeCloseTo(3);
  expect(allowedRatio(1, 10_000)).toBeCloseTo(5);
});

it("calls growth by time or by pages, at any size, by its name (DAT-1)", () => {
  const growth = growthOf(measured, 1);
  expect(growth.map(({ operation, verdict }) => [operation, verdict])).toEqual([
    ["steady", "no faster than log"],
    ["linear", "**faster**"],
    ["bounded", "up to a bound"],
    ["reads all", "**faster**"],
  ]);
  expect(growth[0]).toMatchObject({ sizes: [10, 1000, 100_000], p50: [2, 2, 2.2], pages: [20, 22, 24] });
  expect(growth[0]?.ratio).toBeCloseTo(1.1);
});

it("shows each operation at each size, and names the criterion", () => {
  const text = report(result);
  expect(text).toContain("(1 + log10 n) / (1 + log10 n₀)");
  expect(text).toContain(
    "| linear | 1.0 | 1.0 | 60 | 60.00 (50.00 to 70.00) | 20 | 20 | 20 | 1.00 | 3.0 | **faster** |",
  );
  expect(forReadme(result)).toContain("| steady | 2.0 | 2.2 (× 1.10) | 20 → 24 | 3.0 | no faster than log |");
  expect(chart(result)).toContain("linear, 100 000 messages");
});
