import { expect, it } from "vitest";
import { testStamp } from "../lib/test-stamp";
import { chart } from "./chart";
import { canariesIn, crossings } from "./crossing";
import { barsTable, forReadme, ofMedian, type Phase, type Result, rate, report } from "./report";

const phase = (more: Partial<Phase>): Phase => ({
  name: "all at once",
  lettas: 1,
  round: 0,
  organizations: 3,
  messages: 6,
  noisy_messages: 0,
  answered: 6,
  failed: 0,
  prompts: 6,
  crossed: 0,
  seconds: 2,
  busy: 0.9,
  cpu_seconds: { letta: 1.2, graphyn: 0.6, postgres: 0.3 },
  waiting_ms: [100, 100, 150],
  ...more,
});
const result = (phases: Phase[], more: Partial<Result> = {}): Result => ({
  ...testStamp("orgs"),
  seconds: 1,
  others_cpu_share: 0,
  phases,
  killed: { in_flight: 2, speaking: 3, failed: 1 },
  flood: {
    waiting: 999,
    still_waiting: 900,
    singles: [
      { slots: 0, ms: 100 },
      { slots: 1, ms: 200 },
    ],
  },
  ...more,
});
const slow = (lettas: number, seconds: number) => phase({ name: "slow model", lettas, seconds });

it("says what is met, and what is only told (LET-8)", () => {
  const phases = [
    phase({}),
    phase({ lettas: 2, seconds: 1.5 }),
    phase({ name: "one of them noisy" }),
    slow(1, 4),
    slow(2, 2),
    phase({ name: "one of two is killed", lettas: 2, answered: 5, failed: 1 }),
  ];
  expect(ofMedian(phase({}))).toBe(1.5);
  expect([rate(phases, "all at once", 1), rate(phases, "all at once", 2)]).toEqual([3, 4]);
  const text = report(result(phases));
  expect(text).toContain("| messages answered | all 30 | 30 | met |");
  expect(text).toContain("of 36 prompts and 35 answers, with another organization's canary | 0 | 0 | met |");
  expect(text).toContain("all at once | ≤ 2 × | 1.50 × | met |");
  expect(text).toContain("behind 999 waiting turns of another: turns let past it, the most of 2 | ≤ 1 | 1 | met |");
  expect(text).toContain("against one, the model slow | > 1 × | 2.00 × | met |");
  expect(text).toContain("90 % of 2 cores are in use with one server |  | 1.33 × |  |");
  expect(text).toContain(
    "of 6 turns, 3 of them in mid-answer: failed because one of two servers was killed while it had 2 | ≤ 2 | 1 | met |",
  );
  expect(text).toContain("| 200 | 100 | 50 |"); // CPU an answer, ms
  expect(text).not.toContain("missed");
  expect(forReadme(result(phases))).toContain("npm run bench:orgs");
});

it("says what is missed: an answer lost, a canary crossed, a wait too long, no growth, a place given away (LET-8)", () => {
  const text = barsTable(
    result(
      [
        phase({ answered: 5, crossed: 1 }),
        phase({ name: "one of them noisy", waiting_ms: [100, 100, 300] }),
        slow(1, 2),
        slow(2, 2.5),
        phase({ name: "one of two is killed", lettas: 2, answered: 4, failed: 1 }),
      ],
      { flood: { waiting: 999, still_waiting: 0, singles: [{ slots: 2, ms: 1 }] } },
    ),
  );
  expect(text).toContain("| messages answered | all 24 | 23 | **missed** |");
  expect(text).toContain("canary | 0 | 1 | **missed** |");
  expect(text).toContain("one of them noisy | ≤ 2 × | 3.00 × | **missed** |");
  expect(text).toContain("the most of 1 | ≤ 1 | 2 | **missed** |");
  expect(text).toContain("the model slow | > 1 × | 0.80 × | **missed** |");
  expect(text).toContain("while it had 2 | ≤ 2 | 2 | **missed** |"); // one is not accounted for
});

it("does not take silence for isolation (LET-8)", () => {
  const text = barsTable(result([phase({ prompts: 0 })]));
  expect(text).toContain("canary | 0 | 0 | **missed** |");
});

it("sees a canary of another organization in a text (LET-8)", () => {
  const [a, b] = ["canary-aaaaaaaaaaaa", "canary-bbbbbbbbbbbb"];
  expect(crossings([{ canary: a, text: `${a} says` }])).toBe(0);
  expect(crossings([{ canary: a, text: `${a} says ${b}` }])).toBe(1);
  expect([...canariesIn(`${a} ${b} ${a}`)]).toEqual([a, b]);
});

it("draws each organization's wait (LET-8)", () => {
  const svg = chart([phase({}), phase({ lettas: 2 }), slow(1, 1)]); // of those who say one message each it would show nothing
  expect(svg.match(/<rect/g)).toHaveLength(6);
  expect(svg).toContain("all at once, 2 Letta");
});
