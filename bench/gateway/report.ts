/** The result as a person reads it: the issue's bars, and the tables they are read from. */
import { byRound, cpuMsPerRequest, samplesOf, type Visit } from "../lib/arms";
import { markdownTable, ms, type Stamp } from "../lib/result";
import { mean, pairedDifference, pairedRatio, quantile, summarize } from "../lib/stats";
import type { Paced } from "./paced";

export interface Result extends Stamp {
  versions: { letta: string; postgres: string; agno: string };
  /** Title of each arm, by its name, in the order of the tables. */
  arms: Record<string, string>;
  seconds: number;
  /** Share of all cores used by others while it was measured, 0 to 1. */
  others_cpu_share: number;
  first_text: { delay_ms: number; at_once: number; visits: Visit[] }[];
  /** `each` answers follow one another in each of `at_once` slots. */
  rates: { tokens: number; at_once: number; each: number; visits: Visit[] }[];
  paced: Paced[];
}

type Rate = Result["rates"][number];

export function report(result: Result): string {
  const { machine, versions, load_before: load } = result;
  return [
    `Measured ${result.date.slice(0, 10)} at commit ${result.commit} on ${machine.cores} cores (${machine.cpu}), ${machine.memory_gib} GiB, Node.js ${machine.node}, ` +
      `${versions.postgres}, one process of Letta ${versions.letta}, one of Agno ${versions.agno}, everything on that machine. Other programs used ` +
      `${percent(result.others_cpu_share)} of the cores meanwhile${load.override ? "; the machine was busy before the run and this was allowed" : ""}. ` +
      `Seed ${result.seed}, ${result.seconds} s. \`npm run bench:gateway\``,
    `Arms: ${Object.entries(result.arms)
      .map(([name, title]) => `${name} ${title}`)
      .join(", ")}. Every message goes on with a conversation in which the agent has answered before.`,
    bars(result),
    firstText(result),
    rates(result),
    paced(result),
    "",
  ].join("\n\n");
}

/** What the README shows of it. */
export function forReadme(result: Result): string {
  const { machine, versions } = result;
  return [
    "Through the model gateway, against Letta relaying and Agno AgentOS (A asking ahead, W without, L Letta called directly, M the model itself):",
    bars(result),
    firstText(result),
    `Measured ${result.date.slice(0, 10)} on ${machine.cores} cores (${machine.cpu}) with one process each of Letta ${versions.letta} and Agno ${versions.agno}, everything on that machine: ` +
      "`npm run bench:gateway` ([all numbers](bench/results/gateway.md)).",
  ].join("\n\n");
}

/** What the issue wants, and what came. */
export function bars(result: Result): string {
  const { seed } = result;
  const at = (delay: number, atOnce = 1) =>
    result.first_text.find(({ delay_ms, at_once }) => delay_ms === delay && at_once === atOnce)?.visits ?? [];
  const difference = (visits: Visit[], a: string, b: string) =>
    pairedDifference(byRound(visits, a), byRound(visits, b), seed);
  const toModel = difference(at(300), "A", "M");
  const toAgno = difference(at(300), "A", "AGNO");
  const toLetta = pairedRatio(byRound(at(0), "L"), byRound(at(0), "A"), seed);
  const waitingToLetta = pairedRatio(byRound(at(0), "L"), byRound(at(0), "W"), seed);
  const long = rateOf(result, 300);
  const rate = (other: string, arm = "A") => pairedRatio(answersByRound(long, arm), answersByRound(long, other), seed);
  const [overL, overAgno, waitingOverL] = [rate("L"), rate("AGNO"), rate("L", "W")];
  const delays = delaysOf(result, "A");
  const short = cpuPerAnswer(rateOf(result, 20), "A");
  const grown = cpuPerAnswer(long, "A") - short;
  const range = ({ low, high }: { low: number; high: number }, text: (x: number) => string) =>
    `${text(low)} to ${text(high)}`;
  const fixed = (x: number) => x.toFixed(2);
  const row = (what: string, bar: string, value: string, interval: string, met: boolean) => [
    what,
    bar,
    value,
    interval,
    met ? "met" : "**missed**",
  ];
  return markdownTable(
    ["bar", "wanted", "measured", "95 %", ""],
    [
      row(
        "first text, model 300 ms, 1 at a time: A − M, p50",
        "≤ 10 ms",
        `${ms(toModel.p50)} ms`,
        range(toModel.p50_ci95, ms),
        toModel.p50 <= 10,
      ),
      row(
        "the same: A − AGNO, p50",
        "≤ 0 ms",
        `${ms(toAgno.p50)} ms`,
        range(toAgno.p50_ci95, ms),
        toAgno.p50_ci95.low <= 0,
      ),
      row(
        "first text, model 0 ms, 1 at a time: L / A",
        "≥ 1.3",
        fixed(toLetta.ratio),
        range(toLetta.ci95, fixed),
        toLetta.ratio >= 1.3,
      ),
      row(
        "the same without asking ahead: L / W",
        "",
        fixed(waitingToLetta.ratio),
        range(waitingToLetta.ci95, fixed),
        true,
      ).map((cell, i) => (i === 4 ? "" : cell)),
      row(
        "answers/s, 300 tokens, 8 at once: A / L",
        "≥ 2.5",
        fixed(overL.ratio),
        range(overL.ci95, fixed),
        overL.ratio >= 2.5,
      ),
      row(
        "the same without asking ahead: W / L",
        "≥ 2.5",
        fixed(waitingOverL.ratio),
        range(waitingOverL.ci95, fixed),
        waitingOverL.ratio >= 2.5,
      ),
      row("the same: A / AGNO", "≥ 2", fixed(overAgno.ratio), range(overAgno.ci95, fixed), overAgno.ratio >= 2),
      row(
        "delay of each token, paced, 1 at a time: A, p99",
        "≤ 5 ms",
        `${ms(quantile(delays, 0.99))} ms`,
        "",
        quantile(delays, 0.99) <= 5,
      ),
      row(
        "Letta's CPU an answer, 300 tokens − 20 tokens: A",
        "does not grow",
        `${grown.toFixed(0)} ms of ${short.toFixed(0)}`,
        "",
        grown <= short * CPU_GROWTH_MAX,
      ),
    ],
  );
}

/** Share by which a longer answer may cost Letta more: it stores more text, and the next request carries it. */
const CPU_GROWTH_MAX = 0.15;

function firstText(result: Result): string {
  const names = Object.keys(result.arms);
  const rows = result.first_text.map(({ delay_ms, at_once, visits }) => [
    `model ${delay_ms} ms, ${at_once} at once`,
    Math.min(...names.map((name) => samplesOf(visits, name).length)),
    ...names.map((name) => {
      const { p50, p99 } = summarize(samplesOf(visits, name).map((sample) => sample.first_text_ms));
      const failures = failuresOf(visits, name);
      return `${ms(p50)} / ${ms(p99)}${failures > 0 ? ` (${failures} failed)` : ""}`;
    }),
  ]);
  return markdownTable(["first text, ms, p50 / p99", "n", ...names], rows);
}

function rates(result: Result): string {
  const rows = result.rates.flatMap((rate) =>
    Object.entries(result.arms).map(([name, title]) => {
      const cpu = (role: string) => cpuPerAnswer(rate, name, role);
      const graphyn = ["R", "W", "A"].includes(name) ? cpu(`graphyn_${name}`).toFixed(0) : "";
      const perSecond = [...answersByRound(rate, name).values()].flat();
      return [
        `${name}: ${title}`,
        rate.tokens,
        mean(perSecond).toFixed(1),
        `${Math.min(...perSecond).toFixed(1)} to ${Math.max(...perSecond).toFixed(1)}`,
        cpu("letta").toFixed(0),
        graphyn,
        name === "AGNO" ? cpu("agno").toFixed(0) : "",
        cpu("postgres").toFixed(0),
        cpu("model").toFixed(0),
        failuresOf(rate.visits, name),
      ];
    }),
  );
  const { at_once = 0 } = result.rates[0] ?? {};
  return markdownTable(
    [
      `answers/s, ${at_once} at once`,
      "tokens",
      "mean",
      "rounds",
      "CPU ms an answer: Letta",
      "Graphyn",
      "Agno",
      "PostgreSQL",
      "the model",
      "failed",
    ],
    rows,
  );
}

function paced(result: Result): string {
  const rows = Object.entries(result.arms).map(([name, title]) => {
    const { n, p50, p90, p99, max } = summarize(delaysOf(result, name));
    return [`${name}: ${title}`, n, ms(p50), ms(p90), ms(p99), ms(max)];
  });
  const head = ["delay of each token, ms (300 tokens, 50 a second, 1 at a time)", "n", "p50", "p90", "p99", "max"];
  return markdownTable(head, rows);
}

function rateOf({ rates }: Result, tokens: number): Rate | undefined {
  return rates.find((rate) => rate.tokens === tokens);
}

/** Answers a second of each visit; one in which an answer failed counts those that came. */
function answersByRound(rate: Rate | undefined, arm: string): Map<number, number[]> {
  const { visits = [], each = 1 } = rate ?? {};
  return new Map(
    visits
      .filter((visit) => visit.arm === arm)
      .map(({ round, samples, wall_ms }) => [round, [(samples.length * each * 1000) / wall_ms]]),
  );
}

function cpuPerAnswer(rate: Rate | undefined, arm: string, role = "letta"): number {
  const { visits = [], each = 1 } = rate ?? {};
  return (cpuMsPerRequest(visits, arm)[role] ?? Number.NaN) / each;
}

function delaysOf({ paced: measured }: Result, arm: string): number[] {
  return measured.filter((one) => one.arm === arm).flatMap(({ delays }) => delays);
}

function failuresOf(visits: readonly Visit[], arm: string): number {
  return visits.filter((visit) => visit.arm === arm).reduce((sum, visit) => sum + visit.failures.length, 0);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
