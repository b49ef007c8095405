/** What the bench of many organizations found, as JSON and as Markdown. */
import { markdownTable, ms, type Stamp } from "../lib/result";
import { quantile } from "../lib/stats";

export interface Phase {
  name: "all at once" | "one of them noisy" | "slow model" | "one of two is killed";
  lettas: number;
  round: number;
  organizations: number;
  /** Messages in all, of the noisy organization's as well. */
  messages: number;
  noisy_messages: number;
  answered: number;
  failed: number;
  /** Requests to the model that held a canary word. */
  prompts: number;
  /** Answers or prompts that held another organization's. */
  crossed: number;
  seconds: number;
  /** The share of all cores that was in use. */
  busy: number;
  /** CPU seconds by server. */
  cpu_seconds: Record<string, number>;
  /** From POST to the end of the turn, mean of each organization's messages, ms; the noisy one is not among them. */
  waiting_ms: number[];
}

export interface Flood {
  /** Turns of one organization that waited for Letta's one place before the first single message, and after the last. */
  waiting: number;
  still_waiting: number;
  /** Of each single message: turns of that organization that were given the place between its POST and it; and until it was answered, ms. */
  singles: { slots: number; ms: number }[];
}

export interface Result extends Stamp {
  seconds: number;
  /** In the phase in which others used most. */
  others_cpu_share: number;
  phases: Phase[];
  /** Answers that the killed server was giving, answers of both servers that readers had words of, and turns that failed. */
  killed: { in_flight: number; speaking: number; failed: number };
  flood: Flood;
}

/** The requirement's bar (LET-8): each organization's waiting time against the median organization's. */
const OF_MEDIAN_MAX = 2;
const SLOTS_MAX = 1;
/** Two servers are to answer more than one does, where it is they that are scarce. */
const GROWTH_MIN = 1;

export interface Bar {
  what: string;
  wanted: string;
  measured: string;
  /** Null: it is only told. */
  met: boolean | null;
}

export function bars({ phases, killed, flood, machine }: Result): Bar[] {
  const sum = (of: (phase: Phase) => number) => phases.reduce((total, phase) => total + of(phase), 0);
  const whole = phases.filter(({ name }) => name !== "one of two is killed");
  const [messages, answered] = [whole, whole].map((list, n) =>
    list.reduce((total, phase) => total + (n === 0 ? phase.messages : phase.answered), 0),
  ) as [number, number];
  const found: Bar[] = [
    {
      what: "messages answered",
      wanted: `all ${messages}`,
      measured: String(answered),
      met: messages > 0 && messages === answered,
    },
    {
      what: `of ${sum(({ prompts }) => prompts)} prompts and ${sum(({ answered: all }) => all)} answers, with another organization's canary`,
      wanted: "0",
      measured: String(sum(({ crossed }) => crossed)),
      met: sum(({ prompts }) => prompts) > 0 && sum(({ crossed }) => crossed) === 0,
    },
  ];
  for (const name of ["all at once", "one of them noisy"] as const) {
    const worst = Math.max(...phases.filter((phase) => phase.name === name).map(ofMedian));
    found.push({
      what: `longest wait of an organization against the median's, ${name}`,
      wanted: `≤ ${OF_MEDIAN_MAX} ×`,
      measured: `${worst.toFixed(2)} ×`,
      met: worst <= OF_MEDIAN_MAX,
    });
  }
  const slots = Math.max(...flood.singles.map((single) => single.slots));
  found.push({
    what: `a single message behind ${flood.waiting} waiting turns of another: turns let past it, the most of ${flood.singles.length}`,
    wanted: `≤ ${SLOTS_MAX}`,
    measured: String(slots),
    met: slots <= SLOTS_MAX,
  });
  const slow = rate(phases, "slow model", 2) / rate(phases, "slow model", 1);
  found.push({
    what: "answers a second with two Letta servers against one, the model slow",
    wanted: `> ${GROWTH_MIN} ×`,
    measured: `${slow.toFixed(2)} ×`,
    met: slow > GROWTH_MIN,
  });
  const fast = rate(phases, "all at once", 2) / rate(phases, "all at once", 1);
  const [busy] = phases.filter(({ name, lettas }) => name === "all at once" && lettas === 1);
  found.push({
    what: `the same, the model instant: ${percent(busy?.busy)} of ${machine.cores} cores are in use with one server`,
    wanted: "",
    measured: `${fast.toFixed(2)} ×`,
    met: null,
  });
  const [death] = phases.filter(({ name }) => name === "one of two is killed");
  const lost = death === undefined ? 0 : death.messages - death.answered - death.failed;
  found.push({
    what: `of ${death?.messages ?? 0} turns, ${killed.speaking} of them in mid-answer: failed because one of two servers was killed while it had ${killed.in_flight}`,
    wanted: `≤ ${killed.in_flight}`,
    measured: String(killed.failed + lost),
    met: killed.in_flight > 0 && lost === 0 && killed.failed <= killed.in_flight,
  });
  return found;
}

export function ofMedian({ waiting_ms }: Phase): number {
  return Math.max(...waiting_ms) / quantile(waiting_ms, 0.5);
}

/** Answers a second, over all rounds. */
export function rate(phases: readonly Phase[], name: Phase["name"], lettas: number): number {
  const these = phases.filter((phase) => phase.lettas === lettas && phase.name === name);
  const seconds = these.reduce((total, phase) => total + phase.seconds, 0);
  return these.reduce((total, { answered }) => total + answered, 0) / seconds;
}

export function barsTable(result: Result): string {
  return markdownTable(
    ["bar", "wanted", "measured", ""],
    bars(result).map(({ what, wanted, measured, met }) => [
      what,
      wanted,
      measured,
      met === null ? "" : met ? "met" : "**missed**",
    ]),
  );
}

export function report(result: Result): string {
  const singles = result.flood.singles.map((single) => single.ms);
  return [
    "# A hundred organizations at once",
    "",
    `${result.date.slice(0, 10)}, commit ${result.commit}, ${result.machine.cpu}, ${result.machine.cores} cores, Node ${result.machine.node}. Everything on one machine, the dev model and the clients included. ` +
      "Organizations with two agents each, and a thread with each agent, post at once through one Graphyn, which asks Letta and is its model gateway. " +
      `Others used ${percent(result.others_cpu_share)} of the machine${result.load_before.override ? ", which was too busy to measure on" : ""}.`,
    "",
    barsTable(result),
    "",
    markdownTable(
      [
        "",
        "Letta servers",
        "round",
        "organizations",
        "messages",
        "answered",
        "wait p50 / most, ms",
        "answers a second",
        "Letta's CPU an answer, ms",
        "Graphyn's",
        "PostgreSQL's",
        "cores in use",
      ],
      result.phases.map((phase) => [
        phase.name,
        phase.lettas,
        phase.round,
        phase.organizations,
        phase.messages,
        phase.answered,
        `${ms(quantile(phase.waiting_ms, 0.5))} / ${ms(Math.max(...phase.waiting_ms))}`,
        (phase.answered / phase.seconds).toFixed(1),
        cpuEach(phase, /letta$/),
        cpuEach(phase, /^graphyn$/),
        cpuEach(phase, /^postgres$/),
        percent(phase.busy),
      ]),
    ),
    "",
    `A wait is from a message's POST to the end of its turn, the mean of an organization's messages. The noisy organization's own waits are not among them; it says ${result.phases.find(({ name }) => name === "one of them noisy")?.noisy_messages ?? 0} messages, which come first. ` +
      "Whoever says several messages at once waits for their mean, and whoever says one for its own: with a single message each the longest wait is twice the median by arithmetic, however fair.",
    "",
    `Behind the flood Letta had one place, so that places are given one after the other and can be counted, and each turn took the model half a second. A single message was answered after ${ms(quantile(singles, 0.5))} ms (p50, the most ${ms(Math.max(...singles))}); ${result.flood.still_waiting} turns still waited after the last.`,
    "",
    "With a slow model (four seconds to its first word) an answer takes a place of Letta's and little of its CPU: two servers have twice the places. With an instant one an answer is CPU, of which there is no more with a second server on the same cores.",
    "",
  ].join("\n");
}

/** What the README shows of it. */
export function forReadme(result: Result): string {
  const { machine } = result;
  return [
    "A hundred organizations, each with its agents and threads, post at once:",
    barsTable(result),
    "![How long organizations wait, against the median organization](bench/results/orgs.svg)",
    `Measured ${result.date.slice(0, 10)} on ${machine.cores} cores (${machine.cpu}), everything on that machine: \`npm run bench:orgs\` ([all numbers](bench/results/orgs.md)).`,
  ].join("\n\n");
}

function cpuEach({ cpu_seconds, answered }: Phase, server: RegExp): string {
  const seconds = Object.entries(cpu_seconds).reduce((sum, [name, value]) => sum + (server.test(name) ? value : 0), 0);
  return seconds < 0 ? "–" : ms((seconds * 1000) / answered); // of what was killed nothing is known
}

function percent(share = Number.NaN): string {
  return `${(share * 100).toFixed(0)} %`;
}
