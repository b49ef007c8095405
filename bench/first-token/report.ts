/** The result as a person reads it: tables against the bars, and rows for the chart. */
import { byRound, cpuMsPerRequest, type Sample, samplesOf, type Visit } from "../lib/arms";
import type { ChartRow } from "../lib/chart";
import { markdownTable, ms, type Stamp } from "../lib/result";
import { mean, pairedDifference, pairedRatio, quantile, summarize } from "../lib/stats";
import { AT_ONCE, type Window } from "./accepted";

export interface Result extends Stamp {
  model: string;
  versions: { letta: string; postgres: string; graphyn: object };
  seconds: number;
  /** Share of all cores used by others while it was measured, 0 to 1. */
  others_cpu_share: number;
  scenarios: { at_once: number; visits: Visit[] }[];
  shipped: Visit[];
  accepted: Window[];
}

const HISTORIES = [
  ["0", "fresh"],
  ["100", "100 messages"],
] as const;
const ARMS = [
  ["M", "the model itself"],
  ["L", "Letta directly"],
  ["G", "through Graphyn"],
] as const;

/** Bars of the issue: G − L paired at 1 at a time, G with a fresh thread, shipped against started. */
const BARS = { added_p50_ms: 4, added_p99_ms: 12, fresh_p50_ms: 200, shipped_ratio: 2 };

export function report(result: Result): string {
  const { machine, load_before: load } = result;
  return [
    `Measured ${result.date.slice(0, 10)} at commit ${result.commit} on ${machine.cores} cores (${machine.cpu}), ${machine.memory_gib} GiB, Node.js ${machine.node}, ` +
      `${result.versions.postgres}, Letta ${result.versions.letta}, model \`${result.model}\` (instant). Other programs used ${percent(result.others_cpu_share)} of the cores meanwhile` +
      `${load.override ? "; the machine was busy before the run and this was allowed" : ""}. Seed ${result.seed}, ${result.seconds} s. \`npm run bench:first-token\``,
    firstText(result),
    added(result),
    shipped(result),
    accepted(result),
    "",
  ].join("\n\n");
}

/** The short form for the README. */
export function summary(result: Result): string {
  const rows = result.scenarios.flatMap(({ at_once, visits }) =>
    HISTORIES.map(([key, history]) => {
      const cell = (arm: string) => {
        const { p50, p99 } = summarize(firstTexts(visits, `${arm}/${key}`));
        return `${ms(p50)} / ${ms(p99)}`;
      };
      const { p50, p50_ci95 } = pairedDifference(byRound(visits, `G/${key}`), byRound(visits, `L/${key}`), result.seed);
      const own = samplesOf(visits, `G/${key}`).flatMap((sample) => partOf(sample, "own_ms"));
      return [
        `${history}, ${at_once} at once`,
        cell("M"),
        cell("L"),
        cell("G"),
        `${ms(p50)} (${ms(p50_ci95.low)} to ${ms(p50_ci95.high)})`,
        `${ms(quantile(own, 0.5))} / ${ms(quantile(own, 0.99))}`,
      ];
    }),
  );
  const head = [
    "First text, ms (p50 / p99)",
    "the model itself",
    "Letta directly",
    "through Graphyn",
    "Graphyn adds, paired p50 (95 %)",
    "Graphyn's own share in a request",
  ];
  const { started, posted } = ratios(result);
  const { machine, versions } = result;
  return [
    markdownTable(head, rows),
    "![Time to the first text of an answer](bench/results/first-token.svg)",
    `Letta as Graphyn starts it is ${started.ratio.toFixed(1)} times faster to the first text than as shipped. \`POST /threads/:id/messages\` accepts ` +
      `${posted.perSecond.toFixed(0)} messages a second without agents, ${posted.ratio.toFixed(2)} of what a bare \`INSERT\` of the same row does.`,
    `Measured ${result.date.slice(0, 10)} on ${machine.cores} cores (${machine.cpu}) with ${versions.postgres}, Letta ${versions.letta} and an instant dev model, everything on that machine: ` +
      "`npm run bench:first-token` ([all numbers](bench/results/first-token.md)).",
  ].join("\n\n");
}

function ratios({ shipped: visits, accepted: windows, seed }: Result) {
  const post = ratesOf(windows, "POST");
  return {
    started: pairedRatio(byRound(visits, "shipped"), byRound(visits, "started"), seed),
    posted: { ...pairedRatio(post, ratesOf(windows, "INSERT"), seed), perSecond: mean([...post.values()].flat()) },
  };
}

/** Messages a second of an arm by round. */
function ratesOf(windows: readonly Window[], arm: Window["arm"]): Map<number, number[]> {
  return new Map(
    windows.filter((window) => window.arm === arm).map(({ round, done, seconds }) => [round, [done / seconds]]),
  );
}

function firstText({ scenarios }: Result): string {
  const rows = scenarios.flatMap(({ at_once, visits }) =>
    HISTORIES.flatMap(([key, history]) =>
      ARMS.map(([arm, name]) => {
        const samples = samplesOf(visits, `${arm}/${key}`);
        const { n, p50, p90, p99 } = summarize(samples.map((sample) => sample.first_text_ms));
        const cpu = cpuMsPerRequest(visits, `${arm}/${key}`);
        const cell = (role: string) => (cpu[role] ?? 0).toFixed(0);
        return [
          `${arm}: ${name}`,
          history,
          at_once,
          n,
          ms(p50),
          ms(p90),
          ms(p99),
          cell("letta"),
          cell("graphyn"),
          cell("postgres"),
          failuresOf(visits, `${arm}/${key}`),
        ];
      }),
    ),
  );
  const head = [
    "first text, ms",
    "thread",
    "at once",
    "n",
    "p50",
    "p90",
    "p99",
    "CPU ms: Letta",
    "Graphyn",
    "PostgreSQL",
    "failed",
  ];
  return markdownTable(head, rows);
}

function added({ scenarios, seed }: Result): string {
  const rows = scenarios.flatMap(({ at_once, visits }) =>
    HISTORIES.map(([key, history]) => {
      const g = byRound(visits, `G/${key}`);
      const l = byRound(visits, `L/${key}`);
      const { p50, p99: pairedP99, p50_ci95 } = pairedDifference(g, l, seed);
      const p99 = quantile(firstTexts(visits, `G/${key}`), 0.99) - quantile(firstTexts(visits, `L/${key}`), 0.99);
      const part = (name: string) => samplesOf(visits, `G/${key}`).flatMap((sample) => partOf(sample, name));
      return [
        history,
        at_once,
        `${ms(p50)} (${ms(p50_ci95.low)} to ${ms(p50_ci95.high)})`,
        ms(pairedP99),
        ms(p99),
        ms(quantile(part("own_ms"), 0.5)),
        ms(quantile(part("own_ms"), 0.99)),
        ms(quantile(part("before_ms"), 0.5)),
        ms(quantile(part("after_ms"), 0.5)),
        ms(quantile(part("accepted_ms"), 0.5)),
      ];
    }),
  );
  const head = [
    "what Graphyn adds, ms (thread)",
    "at once",
    "G − L paired, p50 (95 %)",
    "paired p99",
    "p99 of G − p99 of L",
    "own share in the request, p50",
    "p99",
    "before Letta, p50",
    "after Letta, p50",
    "POST answered, p50",
  ];
  return `${markdownTable(head, rows)}\n\nBars: paired p50 at most ${BARS.added_p50_ms} ms and p99 at most ${BARS.added_p99_ms} ms at 1 at a time; G p50 below ${BARS.fresh_p50_ms} ms with a fresh thread. The own share is measured inside each request of arm G, by a tap before Letta: all but the time between its request reaching Letta and Letta's first text.`;
}

function shipped({ shipped: visits, seed }: Result): string {
  const started = byRound(visits, "started");
  const asShipped = byRound(visits, "shipped");
  const { ratio, ci95, n } = pairedRatio(asShipped, started, seed);
  const rows = (["shipped", "started"] as const).map((arm) => {
    const { p50, p99 } = summarize(firstTexts(visits, arm));
    return [
      arm === "shipped" ? "as shipped" : "as Graphyn starts it",
      n,
      ms(p50),
      ms(p99),
      (cpuMsPerRequest(visits, arm)[arm] ?? 0).toFixed(0),
      failuresOf(visits, arm),
    ];
  });
  return `${markdownTable(["Letta, first text, ms", "n", "p50", "p99", "CPU ms", "failed"], rows)}\n\nAs Graphyn starts it, Letta is ${ratio.toFixed(2)} times faster to the first text (95 %: ${ci95.low.toFixed(2)} to ${ci95.high.toFixed(2)}; bar: ${BARS.shipped_ratio}).`;
}

function accepted(result: Result): string {
  const { accepted: windows } = result;
  const { ratio, ci95 } = ratios(result).posted;
  const rows = (["POST", "INSERT"] as const).map((arm) => {
    const own = windows.filter((window) => window.arm === arm);
    const done = own.reduce((sum, window) => sum + window.done, 0);
    const cpu = (role: string) =>
      ((own.reduce((sum, window) => sum + (window.cpu_seconds[role] ?? 0), 0) * 1000) / done).toFixed(2);
    const all = [...ratesOf(windows, arm).values()].flat();
    return [
      arm === "POST" ? "`POST /threads/:id/messages`" : "bare `INSERT` of the row",
      own.length,
      mean(all).toFixed(0),
      Math.min(...all).toFixed(0),
      Math.max(...all).toFixed(0),
      cpu("graphyn"),
      cpu("postgres"),
      cpu("bench"),
    ];
  });
  const head = [
    "messages/s, no agents",
    "windows",
    "mean",
    "min",
    "max",
    "CPU ms: Graphyn",
    "PostgreSQL",
    "the client",
  ];
  return `${markdownTable(head, rows)}\n\n${AT_ONCE} at once, each in a thread of its own: the POST accepts ${ratio.toFixed(2)} of what the bare INSERT does (95 %: ${ci95.low.toFixed(2)} to ${ci95.high.toFixed(2)}), on the same cores as the client.`;
}

export function rowsForChart({ scenarios }: Result): ChartRow[] {
  return scenarios.flatMap(({ at_once, visits }) =>
    HISTORIES.flatMap(([key, history]) =>
      ARMS.map(([arm, name]) => ({
        label: `${arm}: ${name}, ${history}, ×${at_once}`,
        samples: firstTexts(visits, `${arm}/${key}`),
      })),
    ),
  );
}

function firstTexts(visits: readonly Visit[], arm: string): number[] {
  return samplesOf(visits, arm).map((sample) => sample.first_text_ms);
}

function failuresOf(visits: readonly Visit[], arm: string): number {
  return visits.filter((visit) => visit.arm === arm).reduce((sum, visit) => sum + visit.failures.length, 0);
}

function partOf(sample: Sample, name: string): number[] {
  const value = sample.parts?.[name];
  return value === undefined ? [] : [value];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
