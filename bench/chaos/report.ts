/** What a run has found, for people. */
import { INVARIANTS } from "../../backend/__tests__/harness/oracle";
import type { Stamp } from "../lib/result";
import { markdownTable } from "../lib/result";
import type { Played } from "./round";

export interface Result extends Omit<Stamp, "load_before"> {
  rounds: Played[];
}

export function report(result: Result): string {
  const { rounds, machine, date, commit } = result;
  const findings = rounds.flatMap((round) => round.findings.map((finding) => ({ ...finding, seed: round.seed })));
  const faults = new Map<string, number>();
  for (const { timeline } of rounds)
    for (const { what } of timeline) if (what.includes(": ")) count(faults, what.slice(0, what.indexOf(": ")));
  const sum = (of: (round: Played) => number) => rounds.reduce((total, round) => total + of(round), 0);
  const seeds = rounds.map(({ seed }) => seed);
  return [
    "# Chaos",
    "",
    `${rounds.length} rounds, seeds ${seeds.at(0)} to ${seeds.at(-1)}; ${date.slice(0, 10)}, commit ${commit}, ${machine.cores} cores (${machine.cpu}), Node ${machine.node}.`,
    `${sum(({ figures }) => figures.posted)} messages posted, ${sum(({ figures }) => figures.acknowledged)} acknowledged; ${sum(({ figures }) => figures.entries)} log entries; ` +
      `${sum(({ figures }) => Object.values(figures.turns).reduce((a, b) => a + b, 0))} turns; ${sum(({ figures }) => figures.refused)} requests refused.`,
    "",
    markdownTable(
      ["fault", "times"],
      [...faults].sort(([a], [b]) => a.localeCompare(b)),
    ),
    "",
    markdownTable(
      ["invariant", "findings"],
      Object.entries(INVARIANTS).map(([name, text]) => [
        `${name}: ${text}`,
        findings.filter(({ invariant }) => invariant === name).length,
      ]),
    ),
    "",
    ...findings.map(({ seed, invariant, text }) => `- seed ${seed}, ${invariant}: ${text}`),
  ]
    .join("\n")
    .trimEnd()
    .concat("\n");
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
