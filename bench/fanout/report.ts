/** What the bench of many readers found, as JSON and as Markdown. */
import type { ChartRow } from "../lib/chart";
import { chart } from "../lib/chart";
import { markdownTable, ms, type Stamp } from "../lib/result";
import {
  BOOTSTRAP_RESAMPLES,
  type Interval,
  mean,
  pairedRatio,
  quantile,
  seededRandom,
  type summarize,
} from "../lib/stats";

export interface Delivered {
  /** `turns`: Graphyn with one reader a thread, so that nearly all of it is the turns. */
  arm: "graphyn" | "bare" | "durable" | "turns";
  scenario: string;
  round: number;
  /** Events × readers. */
  deliveries: number;
  /** What arrived, with what came along. */
  events: number;
  bytes: number;
  lost: number;
  seconds: number;
  /** Of the server. */
  cpu_seconds: number;
  /** From the model's token, or the server's own write, to the reader, ms. */
  delay: ReturnType<typeof summarize>;
}

export interface Storm {
  readers: number;
  storms: {
    /** From the cut until the last one had caught up. */
    ms: number;
    /** First texts of somebody else's answers, before and meanwhile, ms. */
    calm: number[];
    during: number[];
  }[];
  wrong: string[];
}

export interface Idle {
  readers: number;
  heard: number;
  bytes_each: number;
  /** After each fifth of them. */
  resident: number[];
}

export interface Result extends Stamp {
  seconds: number;
  others_cpu_share: number;
  delivered: Delivered[];
  storm: Storm;
  idle: Idle;
}

const DELAY_P99_MS_MAX = 100;
const OF_BARE_MIN = 0.7;
const STORM_MS_MAX = 5_000;
const NOTICED_MAX = 2;
const IDLE_BYTES_MAX = 30 * 1024;
const ARMS = { graphyn: "Graphyn", bare: "bare node:http", durable: "@durable-streams/server" } as const;
type Arm = keyof typeof ARMS;
const ARM_NAMES = Object.keys(ARMS) as Arm[];

/** Deliveries for each second of the server's CPU. */
export function perCpuSecond(delivered: readonly Delivered[], arm: Delivered["arm"], scenario: string): number {
  const own = delivered.filter((one) => one.arm === arm && one.scenario === scenario);
  return own.reduce((sum, one) => sum + one.deliveries, 0) / own.reduce((sum, one) => sum + one.cpu_seconds, 0);
}

/** Of each round, so that what shared the machine at one time is compared. */
function perCpuSecondByRound(delivered: readonly Delivered[], arm: Arm, scenario: string): Map<number, number[]> {
  const own = delivered.filter((one) => one.arm === arm && one.scenario === scenario);
  return new Map(own.map(({ round, deliveries, cpu_seconds }) => [round, [deliveries / cpu_seconds]]));
}

/**
 * Deliveries for each second of CPU beyond what the same turns take with one reader a thread. Those readers' own deliveries are left
 * out on both sides. NaN where it was not measured.
 */
export function perCpuSecondBeyondTurns(delivered: readonly Delivered[], scenario: string): number {
  const own = (arm: Delivered["arm"]) => delivered.filter((one) => one.arm === arm && one.scenario === scenario);
  const [turns] = own("turns");
  const all = own("graphyn");
  if (turns === undefined) return Number.NaN;
  const deliveries = mean(all.map((one) => one.deliveries)) - turns.deliveries;
  return deliveries / (mean(all.map((one) => one.cpu_seconds)) - turns.cpu_seconds);
}

/** What the README shows of it. */
export function forReadme(result: Result): string {
  const { machine } = result;
  return [
    "Many readers of one process, against a bare `node:http` server that writes as much to as many sockets:",
    bars(result),
    "![Deliveries for each second of the server's CPU](bench/results/fanout.svg)",
    `Measured ${result.date.slice(0, 10)} on ${machine.cores} cores (${machine.cpu}), readers and all on that machine: \`npm run bench:fanout\` ([all numbers](bench/results/fanout.md)).`,
  ].join("\n\n");
}

/** What the issue wants, and what came. */
export function bars({ delivered, storm, idle, seed }: Result): string {
  const scenarios = [...new Set(delivered.map(({ scenario }) => scenario))];
  const bar = (what: string, wanted: string, measured: string, interval: string, met: boolean | null) => [
    what,
    wanted,
    measured,
    interval,
    met === null ? "" : met ? "met" : "**missed**",
  ];
  const range = ({ low, high }: Interval, text: (x: number) => string) => `${text(low)} to ${text(high)}`;
  const fixed = (x: number) => (Number.isFinite(x) ? x.toFixed(2) : "–");
  const rows = scenarios.flatMap((scenario) => {
    const by = (arm: Arm) => perCpuSecondByRound(delivered, arm, scenario);
    const share = pairedRatio(by("graphyn"), by("bare"), seed);
    const toDurable = perCpuSecond(delivered, "graphyn", scenario) / perCpuSecond(delivered, "durable", scenario);
    const beyond = perCpuSecondBeyondTurns(delivered, scenario) / perCpuSecond(delivered, "bare", scenario);
    const p99s = delivered
      .filter((one) => one.arm === "graphyn" && one.scenario === scenario)
      .map(({ delay }) => delay.p99);
    const p99 = Math.max(...p99s);
    return [
      bar(
        `${scenario}: delivery delay, p99 of the worst round`,
        `< ${DELAY_P99_MS_MAX} ms`,
        `${ms(p99)} ms`,
        "",
        p99 < DELAY_P99_MS_MAX,
      ),
      bar(
        `${scenario}: deliveries per CPU second, turns and all, of the bare server's`,
        `≥ ${fixed(OF_BARE_MIN)}`,
        fixed(share.ratio),
        range(share.ci95, fixed),
        share.ratio >= OF_BARE_MIN,
      ),
      bar(
        "the same, beyond what the turns take",
        `≥ ${fixed(OF_BARE_MIN)}`,
        fixed(beyond),
        "",
        Number.isNaN(beyond) ? null : beyond >= OF_BARE_MIN,
      ),
      bar("the same, of @durable-streams/server's", "", fixed(toDurable), "", null),
    ];
  });
  const { low, ratio, high } = noticed(storm, seed);
  const longest = Math.max(...storm.storms.map(({ ms }) => ms));
  const samples = storm.storms.reduce((sum, { during }) => sum + during.length, 0);
  return markdownTable(
    ["bar", "wanted", "measured", "95 %", ""],
    [
      ...rows,
      bar(
        `${storm.readers} readers cut off at once are back, the longest of ${storm.storms.length} times`,
        `< ${STORM_MS_MAX / 1_000} s`,
        `${ms(longest)} ms`,
        "",
        longest < STORM_MS_MAX,
      ),
      bar("of those, given something wrong", "0", String(storm.wrong.length), "", storm.wrong.length === 0),
      bar(
        `first text of others meanwhile, p50 (n = ${samples})`,
        `< ${NOTICED_MAX} × of calm`,
        `${fixed(ratio)} ×`,
        range({ low, high }, fixed),
        ratio < NOTICED_MAX,
      ),
      bar(
        "memory of an idle reader",
        `< ${IDLE_BYTES_MAX / 1024} KB`,
        `${(idle.bytes_each / 1024).toFixed(1)} KB`,
        "",
        idle.bytes_each < IDLE_BYTES_MAX,
      ),
      bar(`${idle.readers} readers hear what is said`, "all", String(idle.heard), "", idle.heard === idle.readers),
    ],
  );
}

/** How many times as long others wait for a first text during the storms: medians of all samples, with a bootstrap interval. */
export function noticed({ storms }: Storm, seed: number): Interval & { ratio: number } {
  const [calm, during] = [storms.flatMap(({ calm }) => calm), storms.flatMap(({ during }) => during)];
  const random = seededRandom(seed);
  const again = (samples: readonly number[]) =>
    samples.map(() => samples[Math.floor(random() * samples.length)] as number);
  const ratios = Array.from(
    { length: BOOTSTRAP_RESAMPLES },
    () => quantile(again(during), 0.5) / quantile(again(calm), 0.5),
  );
  return {
    ratio: quantile(during, 0.5) / quantile(calm, 0.5),
    low: quantile(ratios, 0.025),
    high: quantile(ratios, 0.975),
  };
}

export function chartOf({ delivered }: Result): string {
  const scenarios = [...new Set(delivered.map(({ scenario }) => scenario))];
  const rows = scenarios.flatMap((scenario) =>
    ARM_NAMES.map((arm): ChartRow => {
      const rounds = perCpuSecondByRound(delivered, arm, scenario);
      return { label: `${ARMS[arm]}, ${scenario}`, samples: [...rounds.values()].flat().map((each) => each / 1_000) };
    }),
  );
  return chart("Deliveries for each second of the server's CPU", rows, {
    unit: "",
    caption: "thousand events to readers, 1000 of them, per second of CPU; more is better; bar: rounds, tick: median",
  });
}

export function report(result: Result): string {
  const { machine, delivered } = result;
  const scenarios = [...new Set(delivered.map(({ scenario }) => scenario))];
  const rows = scenarios.flatMap((scenario) =>
    ARM_NAMES.map((arm) => {
      const own = delivered.filter((one) => one.arm === arm && one.scenario === scenario);
      const delay = (pick: (one: Delivered) => number) => ms(mean(own.map(pick)));
      return [
        `1000 readers, ${scenario}: ${ARMS[arm]}`,
        Math.round(mean(own.map((one) => one.deliveries / one.seconds))),
        Math.round(perCpuSecond(delivered, arm, scenario)),
        `${delay(({ delay }) => delay.p50)} / ${delay(({ delay }) => delay.p99)}`,
        own.reduce((sum, { lost }) => sum + lost, 0),
      ];
    }),
  );
  return [
    `Measured ${result.date.slice(0, 10)} at commit ${result.commit} on ${machine.cores} cores (${machine.cpu}), ${machine.memory_gib} GiB, Node.js ${machine.node}; servers, ` +
      `readers, Letta, PostgreSQL and the model on that machine. Other programs used ${(result.others_cpu_share * 100).toFixed(0)} % of the cores meanwhile` +
      `${result.load_before.override ? "; the machine was busy before the run and this was allowed" : ""}. Seed ${result.seed}, ${result.seconds} s. \`npm run bench:fanout\``,
    bars(result),
    markdownTable(
      ["", "deliveries/s", "per CPU second of the server", "delay, ms, p50 / p99", "connections lost"],
      rows,
    ),
    "Graphyn's CPU includes the turns themselves: POST, Letta, the model's answer by the gateway, the log. The bare server makes its events up: beyond the turns (less the CPU of the same turns with one reader a " +
      "thread) both do the same, take what there is to say to the sockets. With the turns, the share falls with the readers of each, since a turn costs the same for ten as for a thousand. Graphyn's delay begins " +
      "where the model sent the token; the others' where they wrote the event.",
    markdownTable(
      ["storm", "back after, ms", "first text of others before, ms, p50 / n", "meanwhile"],
      result.storm.storms.map(({ ms: back, calm, during }, i) => [
        i + 1,
        ms(back),
        `${ms(quantile(calm, 0.5))} / ${calm.length}`,
        `${ms(quantile(during, 0.5))} / ${during.length}`,
      ]),
    ),
    "",
  ].join("\n\n");
}
