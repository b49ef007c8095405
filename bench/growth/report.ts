/** What the bench of growth found, as JSON, Markdown and SVG. */
import { markdownTable, ms, type Stamp } from "../lib/result";
import { mean, pairedRatio, quantile } from "../lib/stats";

/** One operation at one size of one axis. */
export interface Measured {
  axis: string;
  size: number;
  operation: string;
  /** By round, ms: of the whole request, or of one entry where `per_entry`. */
  rounds: { round: number; samples: number[] }[];
  /** Pages of 8 KiB that its queries touch, by EXPLAIN (ANALYZE, BUFFERS); of one entry where `per_entry`. */
  pages: number;
  /** Queries it asks, */
  queries: number;
  /** and those of them that touch most. */
  heaviest?: { sql: string; pages: number }[];
  per_entry: boolean;
}

export interface Result extends Stamp {
  seconds: number;
  others_cpu_share: number;
  measured: Measured[];
  /** What else is in the databases, in words, by axis. */
  axes: Record<string, string>;
}

export interface Growth {
  axis: string;
  operation: string;
  sizes: number[];
  p50: number[];
  pages: number[];
  /** Of the medians of the largest and of the smallest size, in the same rounds. */
  ratio: number;
  ci95: { low: number; high: number };
  pagesRatio: number;
  allowed: number;
  /** `up to a bound`: more than log at first, and no more than log from the second size on. */
  verdict: "no faster than log" | "up to a bound" | "**faster**";
}

/** Measured medians may exceed the bound by so much before it is called growth: the machine's own noise. */
const TIME_TOLERANCE = 0.25;
/** Pages are counted and not timed; a level more of a tree is a page more of each look-up, and small indexes have two. */
const PAGES_TOLERANCE = 0.25;

/** How often as much something may cost at `large` as at `small` and still grow no faster than log: 1 + log10 n, which also has a value for 1. */
export function allowedRatio(small: number, large: number): number {
  return (1 + Math.log10(large)) / (1 + Math.log10(small));
}

export function growthOf(measured: readonly Measured[], seed: number): Growth[] {
  const keys = [...new Set(measured.map(({ axis, operation }) => JSON.stringify([axis, operation])))];
  return keys.map((key) => {
    const [axis, operation] = JSON.parse(key) as [string, string];
    const all = measured
      .filter((one) => one.axis === axis && one.operation === operation)
      .toSorted((a, b) => a.size - b.size);
    const [first, last] = [all[0], all.at(-1)];
    if (!first || !last) throw new Error(`nothing was measured of ${key}`);
    const { ratio, ci95 } = pairedRatio(roundsOf(last), roundsOf(first), seed);
    const isWithin = (from: Measured, steps: Measured[]) => steps.every((step) => isWithinLog(from, step, seed));
    const [, second = first] = all;
    return {
      axis,
      operation,
      sizes: all.map(({ size }) => size),
      p50: all.map(({ rounds: list }) =>
        quantile(
          list.map(({ samples }) => mean(samples)),
          0.5,
        ),
      ),
      pages: all.map(({ pages }) => pages),
      ratio,
      ci95,
      pagesRatio: last.pages / first.pages,
      allowed: allowedRatio(first.size, last.size),
      verdict: isWithin(first, all)
        ? "no faster than log"
        : all.length > 2 && isWithin(second, all.slice(2))
          ? "up to a bound"
          : "**faster**",
    };
  });
}

function isWithinLog(from: Measured, to: Measured, seed: number): boolean {
  const allowed = allowedRatio(from.size, to.size);
  const isTimed = from.rounds.length > 0;
  const time = isTimed ? pairedRatio(roundsOf(to), roundsOf(from), seed).ratio : 0;
  return time <= allowed * (1 + TIME_TOLERANCE) && to.pages / from.pages <= allowed * (1 + PAGES_TOLERANCE);
}

function roundsOf({ rounds }: Measured): Map<number, number[]> {
  return new Map(rounds.map(({ round, samples }) => [round, samples]));
}

export function report(result: Result): string {
  const growth = growthOf(result.measured, result.seed);
  return [
    `Measured ${result.date.slice(0, 10)} at commit ${result.commit} on ${result.machine.cores} cores (${result.machine.cpu}), ${result.machine.memory_gib} GiB, Node.js ${result.machine.node}, everything on that machine. ` +
      `Other programs used ${(result.others_cpu_share * 100).toFixed(0)} % of the cores meanwhile${result.load_before.override ? "; **the machine was too busy to measure on**" : ""}. Seed ${result.seed}, ${result.seconds} s. \`npm run bench:growth\``,
    "",
    `"No faster than log": at every size, both the median (ratio over rounds in which all sizes were asked) and the pages that its queries touch are at most (1 + log10 n) / (1 + log10 n₀) times those of the smallest size n₀, with a tolerance of ${TIME_TOLERANCE * 100} % for the time and ${PAGES_TOLERANCE * 100} % for pages. ` +
      "Pages are 8 KiB, in memory or not, counted by EXPLAIN (ANALYZE, BUFFERS) of each query that Graphyn asked, in its order, as its role; planning is left out. " +
      '"Up to a bound": more than that at first, because something is done for each of so many and no more, and no faster than log from the second size to the largest.',
    ...Object.entries(result.axes).flatMap(([axis, words]) => {
      const rows = growth.filter((one) => one.axis === axis);
      const sizes = rows[0]?.sizes ?? [];
      return [
        "",
        `## ${axis}`,
        "",
        words,
        "",
        markdownTable(
          [
            "",
            ...sizes.map((size) => `${count(size)}: ms`),
            "ratio (95 %)",
            ...sizes.map((size) => `${count(size)}: pages`),
            "ratio",
            "allowed",
            "grows",
          ],
          rows.map((row) => [
            row.operation,
            ...row.p50.map(fine),
            Number.isFinite(row.ratio)
              ? `${row.ratio.toFixed(2)} (${row.ci95.low.toFixed(2)} to ${row.ci95.high.toFixed(2)})`
              : "–",
            ...row.pages.map((pages) => fine(pages)),
            row.pagesRatio.toFixed(2),
            row.allowed.toFixed(1),
            row.verdict,
          ]),
        ),
      ];
    }),
    "",
  ].join("\n");
}

export function forReadme(result: Result): string {
  const growth = growthOf(result.measured, result.seed);
  const axes = Object.keys(result.axes);
  return [
    "How the cost of a request grows (p50 in ms, and pages of the database it touches, at the smallest and at the largest size):",
    "",
    ...axes.flatMap((axis) => {
      const rows = growth.filter((one) => one.axis === axis);
      const [small, large] = [rows[0]?.sizes[0] ?? 0, rows[0]?.sizes.at(-1) ?? 0];
      return [
        markdownTable(
          [axis, `${count(small)}`, `${count(large)}`, "pages", "allowed ratio", "grows"],
          rows.map((row) => [
            row.operation,
            fine(row.p50[0] ?? 0),
            Number.isFinite(row.ratio) ? `${fine(row.p50.at(-1) ?? 0)} (× ${row.ratio.toFixed(2)})` : "–",
            `${fine(row.pages[0] ?? 0)} → ${fine(row.pages.at(-1) ?? 0)}`,
            row.allowed.toFixed(1),
            row.verdict,
          ]),
        ),
        "",
      ];
    }),
    "![Cost by size](bench/results/growth.svg)",
    "",
    `Measured ${result.date.slice(0, 10)} on ${result.machine.cores} cores (${result.machine.cpu}), everything on that machine: \`npm run bench:growth\` ([all numbers](bench/results/growth.md)).`,
  ].join("\n");
}

const WIDTH = 720;
const LEFT = 250;
const ROW = 20;
const TOP = 44;
const COLORS = ["#2b6cc9", "#c9822b", "#8a8f98"];
const RATIO_MAX = 8;

/** One row an operation: how often as much it costs at each size, in time (dot) and pages (ring), and what log allows (tick). */
export function chart(result: Result): string {
  const growth = growthOf(result.measured, result.seed);
  const x = (ratio: number) => LEFT + (Math.log2(Math.min(RATIO_MAX, Math.max(0.5, ratio))) + 1) * 110;
  const rows = growth.map((row, i) => {
    const y = TOP + i * ROW + 10;
    const color = COLORS[Object.keys(result.axes).indexOf(row.axis) % COLORS.length] ?? "#888";
    return (
      `<text x="${LEFT - 10}" y="${y + 4}" text-anchor="end">${row.operation}, ${count(row.sizes.at(-1) ?? 0)} ${row.axis}</text>` +
      `<rect x="${x(row.allowed).toFixed(1)}" y="${y - 7}" width="2" height="14" fill="#888"/>` +
      (Number.isFinite(row.ratio) ? `<circle cx="${x(row.ratio).toFixed(1)}" cy="${y}" r="4" fill="${color}"/>` : "") +
      `<circle cx="${x(row.pagesRatio).toFixed(1)}" cy="${y}" r="6" fill="none" stroke="${color}"/>`
    );
  });
  const height = TOP + growth.length * ROW + 40;
  const grid = [0.5, 1, 2, 4, 8].map(
    (ratio) =>
      `<line x1="${x(ratio)}" x2="${x(ratio)}" y1="${TOP - 6}" y2="${height - 36}" stroke="#8884"/>` +
      `<text x="${x(ratio)}" y="${height - 20}" text-anchor="middle" opacity=".7">× ${ratio}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="#666">`,
    "<title>How the cost grows</title>",
    '<text x="10" y="20" font-size="14" font-weight="600">Cost at the largest size against the smallest</text>',
    ...grid,
    ...rows,
    `<text x="${LEFT}" y="${height - 4}" opacity=".7">dot: time (p50), ring: pages touched, tick: what log allows</text>`,
    "</svg>",
    "",
  ].join("\n");
}

function count(value: number): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, " ");
}

/** Small figures, as of one entry, with what they have. */
function fine(value: number): string {
  return Math.abs(value) < 1 ? value.toFixed(3) : ms(value); // not a number: a dash
}
