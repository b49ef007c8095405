/** What the bench of many readers found, as JSON and as Markdown. */
import { markdownTable, ms, type Stamp } from "../lib/result";
import { mean, type summarize } from "../lib/stats";

export interface Delivered {
  arm: "graphyn" | "bare" | "durable";
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
  /** From the cut until the last one had caught up. */
  ms: number;
  wrong: string[];
  /** First text of somebody else's answer, p50, before and meanwhile. */
  calm_ms: number;
  during_ms: number;
  during_n: number;
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

/** Deliveries for each second of the server's CPU. */
export function perCpuSecond(delivered: readonly Delivered[], arm: Delivered["arm"], scenario: string): number {
  const own = delivered.filter((one) => one.arm === arm && one.scenario === scenario);
  return own.reduce((sum, one) => sum + one.deliveries, 0) / own.reduce((sum, one) => sum + one.cpu_seconds, 0);
}

/** What the README shows of it. */
export function forReadme(result: Result): string {
  const { machine } = result;
  return [
    "Many readers of one process, against a bare `node:http` server that writes as much to as many sockets:",
    bars(result),
    `Measured ${result.date.slice(0, 10)} on ${machine.cores} cores (${machine.cpu}), readers and all on that machine: \`npm run bench:fanout\` ([all numbers](bench/results/fanout.md)).`,
  ].join("\n\n");
}

/** What the issue wants, and what came. */
function bars({ delivered, storm, idle }: Result): string {
  const scenarios = [...new Set(delivered.map(({ scenario }) => scenario))];
  const worst = (arm: Delivered["arm"], scenario: string) =>
    Math.max(...delivered.filter((one) => one.arm === arm && one.scenario === scenario).map(({ delay }) => delay.p99));
  const bar = (what: string, wanted: string, measured: string, met: boolean) => [
    what,
    wanted,
    measured,
    met ? "met" : "**missed**",
  ];
  const rows = [
    ...scenarios.flatMap((scenario) => {
      const share = perCpuSecond(delivered, "graphyn", scenario) / perCpuSecond(delivered, "bare", scenario);
      const p99 = worst("graphyn", scenario);
      return [
        bar(`${scenario}: delivery delay, p99 of the worst round`, "< 100 ms", `${ms(p99)} ms`, p99 < DELAY_P99_MS_MAX),
        bar(
          `${scenario}: deliveries per CPU second, of the bare server's`,
          "≥ 0.70",
          share.toFixed(2),
          share >= OF_BARE_MIN,
        ),
      ];
    }),
    bar("1000 readers cut off at once are back", "< 5 s", `${ms(storm.ms)} ms`, storm.ms < STORM_MS_MAX),
    bar("of those, given something wrong", "0", String(storm.wrong.length), storm.wrong.length === 0),
    bar(
      `first text of others meanwhile (n = ${storm.during_n})`,
      "< 2 × of calm",
      `${(storm.during_ms / storm.calm_ms).toFixed(2)} ×`,
      storm.during_ms < NOTICED_MAX * storm.calm_ms,
    ),
    bar(
      "memory of an idle reader",
      "< 30 KB",
      `${(idle.bytes_each / 1024).toFixed(1)} KB`,
      idle.bytes_each < IDLE_BYTES_MAX,
    ),
    bar(`${idle.readers} readers hear what is said`, "all", String(idle.heard), idle.heard === idle.readers),
  ];
  return markdownTable(["bar", "wanted", "measured", ""], rows);
}

export function report(result: Result): string {
  const { machine, delivered } = result;
  const scenarios = [...new Set(delivered.map(({ scenario }) => scenario))];
  const rows = scenarios.flatMap((scenario) =>
    (Object.keys(ARMS) as Delivered["arm"][]).map((arm) => {
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
    "Graphyn's CPU includes the turns themselves: POST, the model's answer by the gateway, the log. Its delay begins where the model sent the token; the others' where they wrote the event.",
    "",
  ].join("\n\n");
}
