/** What the bench of several nodes found, as JSON and as Markdown. */
import { chart } from "../lib/chart";
import { markdownTable, ms, type Stamp } from "../lib/result";
import { bootstrapInterval, quantile } from "../lib/stats";

/** Arrivals of one agent's words at one reader: how much of the text was there, and when (performance.now()). */
export type Heard = { end: number; at: number }[];

export interface Phase {
  carrier: "PostgreSQL" | "Redis";
  round: number;
  seconds: number;
  /** Agents speaking at once, and messages of people a second, in both nodes together. */
  speaking: number;
  messages_per_second: number;
  /** From POST to the reader of a message, ms: one of the node that took it, and one of the other node. */
  messages: { within: number[]; across: number[] };
  /** How much later than a reader of the turn's own node a reader of the other one has each word, ms. */
  words_later: number[];
  /** Hints that each node sent, a second, over the whole time and in its busiest one. */
  hints_per_second: { node: string; mean: number; most: number }[];
  /** CPU seconds by role. */
  cpu_seconds: Record<string, number>;
}

export interface Result extends Stamp {
  seconds: number;
  others_cpu_share: number;
  phases: Phase[];
}

/** The requirement's bars (SSE-3; the issue of live threads, "Several nodes"). */
const ACROSS_P99_MS_MAX = 100;
const HINTS_PER_SECOND_MAX = 20;

/** For each piece that the near reader was given, how much later the far one had all of it. What the far one never had is missing. */
export function lateness(near: Heard, far: Heard): number[] {
  let at = 0;
  return near.flatMap((piece) => {
    while (at < far.length && (far[at]?.end ?? 0) < piece.end) at++;
    const there = far[at];
    return there === undefined ? [] : [there.at - piece.at];
  });
}

/** Of each message, how much later a reader of the other process had it, ms. Both had it once, and in the order of their POSTs. */
function laterThere({ within, across }: Phase["messages"]): number[] {
  return across.map((far, index) => far - (within[index] ?? 0));
}

export function report(result: Result): string {
  const carriers = [...new Set(result.phases.map(({ carrier }) => carrier))];
  const rows = carriers.map((carrier) => {
    const phases = result.phases.filter((phase) => phase.carrier === carrier);
    const within = phases.flatMap(({ messages }) => messages.within);
    const across = phases.flatMap(({ messages }) => messages.across);
    const words = phases.flatMap(({ words_later }) => words_later);
    const hints = phases.flatMap(({ hints_per_second }) => hints_per_second);
    const seconds = phases.reduce((sum, phase) => sum + phase.seconds, 0);
    const cpu = (role: RegExp) =>
      phases.reduce(
        (sum, phase) =>
          sum + Object.entries(phase.cpu_seconds).reduce((s, [name, value]) => s + (role.test(name) ? value : 0), 0),
        0,
      ) / seconds;
    return {
      cells: [
        carrier,
        both(within),
        both(across),
        both(words),
        `${Math.max(...hints.map(({ mean }) => mean)).toFixed(1)} (${Math.max(...hints.map(({ most }) => most))})`,
        `${cpu(/^graphyn/).toFixed(2)} / ${cpu(/^postgres/).toFixed(2)}`,
      ],
    };
  });
  const [first] = result.phases;
  return [
    "# Delivery between two Graphyn processes",
    "",
    `${result.date.slice(0, 10)}, commit ${result.commit}, ${result.machine.cpu}, ${result.machine.cores} cores, Node ${result.machine.node}. Everything on one machine, the readers included. ` +
      `${first?.speaking ?? 0} agents speak at once in one of the processes, ${first?.messages_per_second ?? 0} messages of people a second reach both; each thread has a reader at each process. ` +
      `Others used ${(result.others_cpu_share * 100).toFixed(0)} % of the machine${result.load_before.override ? ", which was too busy to measure on" : ""}.`,
    "",
    markdownTable(
      [
        "hints over",
        "message, same process, p50 / p99 ms",
        "message, other process",
        "words, later than in their own process",
        "hints a second and process (in its busiest second)",
        "CPU of both processes / of PostgreSQL, cores",
      ],
      rows.map(({ cells }) => cells),
    ),
    "",
    "A message's time is from its POST to the reader, with the commit to disk, which both readers wait for: what goes from one process to the other is the difference of the two. The slowest are those posted while all agents begin, which takes all cores. Words are stored and told every 60 ms, so about half of that is in theirs.",
    "",
    bars(result),
    "",
  ].join("\n");
}

function both(samples: readonly number[]): string {
  return `${ms(quantile(samples, 0.5))} / ${ms(quantile(samples, 0.99))}`;
}

/** What the requirement and the issue want, and what came. */
export function bars({ phases, seed }: Result): string {
  const carriers = [...new Set(phases.map(({ carrier }) => carrier))];
  const rows = carriers.flatMap((carrier) => {
    const own = phases.filter((phase) => phase.carrier === carrier);
    const delay = (what: string, samples: (phase: Phase) => number[]) => {
      const p99 = quantile(own.flatMap(samples), 0.99);
      const { low, high } = bootstrapInterval(
        own.map((_, round) => round),
        (rounds) =>
          quantile(
            rounds.flatMap((round) => samples(own[round] as Phase)),
            0.99,
          ),
        seed,
      );
      return row(
        `${carrier}: ${what}, p99`,
        `< ${ACROSS_P99_MS_MAX} ms`,
        `${ms(p99)} ms`,
        `${ms(low)} to ${ms(high)}`,
        p99 < ACROSS_P99_MS_MAX,
      );
    };
    const hints = own.flatMap(({ hints_per_second }) => hints_per_second.map(({ mean }) => mean));
    const most = Math.max(...hints);
    return [
      delay("a message, later than in its own process", ({ messages }) => laterThere(messages)),
      delay("the same from its POST, with the commit to disk", ({ messages }) => messages.across),
      delay("words, later than in their own process", ({ words_later }) => words_later),
      row(
        `${carrier}: hints a second and process`,
        `about ${HINTS_PER_SECOND_MAX} at most`,
        most.toFixed(1),
        `${Math.min(...hints).toFixed(1)} to ${most.toFixed(1)}`,
        most <= HINTS_PER_SECOND_MAX + 1,
      ),
    ];
  });
  return markdownTable(["bar", "wanted", "measured", "95 %", ""], rows);
}

function row(what: string, wanted: string, measured: string, interval: string, met: boolean): string[] {
  return [what, wanted, measured, interval, met ? "met" : "**missed**"];
}

/** What the README shows of it. */
export function forReadme(result: Result): string {
  const { machine } = result;
  return [
    "Two processes on one database, each with readers of the same threads:",
    bars(result),
    "![From one process to the readers of another](bench/results/nodes.svg)",
    `Measured ${result.date.slice(0, 10)} on ${machine.cores} cores (${machine.cpu}), everything on that machine: \`npm run bench:nodes\` ([all numbers](bench/results/nodes.md)).`,
  ].join("\n\n");
}

export function chartOf({ phases }: Result): string {
  const rows = [...new Set(phases.map(({ carrier }) => carrier))].flatMap((carrier) => {
    const own = phases.filter((phase) => phase.carrier === carrier);
    return [
      { label: `${carrier}: message, same process`, samples: own.flatMap(({ messages }) => messages.within) },
      { label: `${carrier}: message, other process`, samples: own.flatMap(({ messages }) => messages.across) },
      { label: `${carrier}: words, later there`, samples: own.flatMap(({ words_later }) => words_later) },
    ];
  });
  return chart("From one process to the readers of another", rows, {
    unit: " ms",
    caption:
      "ms; a message from its POST, words from when their own process's reader had them; bar p10 to p90, tick p50",
  });
}
