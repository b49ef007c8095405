/** What the bench of many organizations found, as JSON, as Markdown and as a chart. */
import { markdownTable, ms, type Stamp } from "../lib/result";
import { quantile } from "../lib/stats";

export interface Phase {
  name: "all at once" | "one of them noisy";
  lettas: number;
  round: number;
  organizations: number;
  /** Messages in all, of the noisy organization's as well. */
  messages: number;
  noisy_messages: number;
  answered: number;
  /** Answers or prompts that held another organization's canary word. */
  crossed: number;
  seconds: number;
  /** From POST to the end of the turn, mean of each organization's messages, ms; the noisy one is not among them. */
  waiting_ms: number[];
}

export interface Result extends Stamp {
  seconds: number;
  others_cpu_share: number;
  phases: Phase[];
}

/** The requirement's bar (LET-8): each organization's waiting time against the median organization's. */
const OF_MEDIAN_MAX = 2;
/** Two servers are to answer more than one does; how much more depends on the cores they have. */
const GROWTH_MIN = 1;

export interface Bar {
  what: string;
  wanted: string;
  measured: string;
  met: boolean;
}

export function bars({ phases }: Result): Bar[] {
  const sum = (of: (phase: Phase) => number) => phases.reduce((total, phase) => total + of(phase), 0);
  const found: Bar[] = [
    {
      what: "messages answered",
      wanted: `all ${sum(({ messages }) => messages)}`,
      measured: String(sum(({ answered }) => answered)),
      met: phases.length > 0 && phases.every(({ messages, answered }) => messages === answered),
    },
    {
      what: "prompts and answers with another organization's canary",
      wanted: "0",
      measured: String(sum(({ crossed }) => crossed)),
      met: sum(({ crossed }) => crossed) === 0,
    },
  ];
  for (const name of ["all at once", "one of them noisy"] as const) {
    const worst = Math.max(...phases.filter((phase) => phase.name === name).map(ofMedian));
    if (!Number.isFinite(worst)) continue;
    found.push({
      what: `longest wait of an organization against the median's, ${name}`,
      wanted: `≤ ${OF_MEDIAN_MAX}`,
      measured: worst.toFixed(2),
      met: worst <= OF_MEDIAN_MAX,
    });
  }
  const growth = rate(phases, 2) / rate(phases, 1);
  if (Number.isFinite(growth)) {
    found.push({
      what: "answers a second with two Letta servers against one",
      wanted: `> ${GROWTH_MIN}`,
      measured: growth.toFixed(2),
      met: growth > GROWTH_MIN,
    });
  }
  return found;
}

export function ofMedian({ waiting_ms }: Phase): number {
  return Math.max(...waiting_ms) / quantile(waiting_ms, 0.5);
}

/** Answers a second when all post at once, over all rounds. */
export function rate(phases: readonly Phase[], lettas: number): number {
  const these = phases.filter((phase) => phase.lettas === lettas && phase.name === "all at once");
  const seconds = these.reduce((total, phase) => total + phase.seconds, 0);
  return these.reduce((total, { answered }) => total + answered, 0) / seconds;
}

export function barsTable(result: Result): string {
  return markdownTable(
    ["", "wanted", "measured", ""],
    bars(result).map(({ what, wanted, measured, met }) => [what, wanted, measured, met ? "met" : "missed"]),
  );
}

export function report(result: Result): string {
  const [first] = result.phases;
  return [
    "# A hundred organizations at once",
    "",
    `${result.date.slice(0, 10)}, commit ${result.commit}, ${result.machine.cpu}, ${result.machine.cores} cores, Node ${result.machine.node}. Everything on one machine, the dev model and the clients included. ` +
      `${first?.organizations ?? 0} organizations, each with its agents and threads, post at once through one Graphyn. ` +
      `Others used ${(result.others_cpu_share * 100).toFixed(0)} % of the machine${result.load_before.override ? ", which was too busy to measure on" : ""}.`,
    "",
    barsTable(result),
    "",
    markdownTable(
      ["", "Letta servers", "round", "messages", "answered", "crossed", "wait p50 / most, ms", "answers a second"],
      result.phases.map((phase) => [
        phase.name,
        phase.lettas,
        phase.round,
        phase.messages,
        phase.answered,
        phase.crossed,
        `${ms(quantile(phase.waiting_ms, 0.5))} / ${ms(Math.max(...phase.waiting_ms))}`,
        (phase.answered / phase.seconds).toFixed(1),
      ]),
    ),
    "",
    "A wait is from a message's POST to the end of its turn, the mean of an organization's messages. The noisy organization's own waits are not among them.",
    "",
  ].join("\n");
}
