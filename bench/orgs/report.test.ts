import { expect, it } from "vitest";
import { chart } from "./chart";
import { canariesIn, crossings } from "./crossing";
import { barsTable, ofMedian, type Phase, type Result, rate, report } from "./report";

const phase = (more: Partial<Phase>): Phase => ({
  name: "all at once",
  lettas: 1,
  round: 0,
  organizations: 3,
  messages: 6,
  noisy_messages: 0,
  answered: 6,
  crossed: 0,
  seconds: 2,
  waiting_ms: [100, 100, 150],
  ...more,
});
const result = (phases: Phase[]): Result => ({
  bench: "orgs",
  date: "2026-11-30T12:00:00Z",
  commit: "abc",
  machine: { cpu: "test", cores: 2, memory_gib: 24, kernel: "k", node: "v20" },
  seed: 1,
  load_before: { busy: 0, steal: 0, busiest: [], override: false },
  seconds: 1,
  others_cpu_share: 0,
  phases,
});

it("says what is met (LET-8)", () => {
  const phases = [phase({}), phase({ lettas: 2, seconds: 1.5 }), phase({ name: "one of them noisy" })];
  expect(ofMedian(phase({}))).toBe(1.5);
  expect([rate(phases, 1), rate(phases, 2)]).toEqual([3, 4]);
  const text = report(result(phases));
  expect(text).toContain("| messages answered | all 18 | 18 | met |");
  expect(text).toContain("all at once | ≤ 2 | 1.50 | met |");
  expect(text).toContain("against one | > 1 | 1.33 | met |");
  expect(text).not.toContain("missed");
});

it("says what is missed: an answer lost, a canary crossed, a wait too long, no growth (LET-8)", () => {
  const text = barsTable(
    result([
      phase({ answered: 5, crossed: 1 }),
      phase({ name: "one of them noisy", waiting_ms: [100, 100, 300] }),
      phase({ lettas: 2, seconds: 3 }),
    ]),
  );
  expect(text).toContain("| messages answered | all 18 | 17 | missed |");
  expect(text).toContain("canary | 0 | 1 | missed |");
  expect(text).toContain("one of them noisy | ≤ 2 | 3.00 | missed |");
  expect(text).toContain("against one | > 1 | 0.80 | missed |");
  expect(barsTable(result([]))).toContain("| messages answered | all 0 | 0 | missed |");
});

it("sees a canary of another organization in a text (LET-8)", () => {
  const [a, b] = ["canary-aaaaaaaaaaaa", "canary-bbbbbbbbbbbb"];
  expect(crossings([{ canary: a, text: `${a} says` }])).toBe(0);
  expect(crossings([{ canary: a, text: `${a} says ${b}` }])).toBe(1);
  expect([...canariesIn(`${a} ${b} ${a}`)]).toEqual([a, b]);
});

it("draws each organization's wait (LET-8)", () => {
  const svg = chart([phase({}), phase({ lettas: 2 })]);
  expect(svg.match(/<rect/g)).toHaveLength(6);
  expect(svg).toContain("all at once, 2 Letta");
});
