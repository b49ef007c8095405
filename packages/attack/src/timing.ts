import { type Finding, finding } from "./finding";
import { send } from "./http";
import { nobodys } from "./ids";
import type { Party } from "./party";

const ROUNDS = 150;
/** A difference of medians below this tells nobody anything over a network, ms. */
const HARMLESS_MS = 0.5;
/** How many times the noise of two equal requests a difference has to be, to count. */
const BEYOND_NOISE = 4;

/** Whether the time of an answer tells another's thing from one that is not there: medians of interleaved requests, against their own noise. */
export async function attackByTiming(
  victim: Party,
  attacker: Party,
): Promise<{ tried: number; findings: Finding[]; told: string }> {
  const findings: Finding[] = [];
  const figures: string[] = [];
  const paths = [
    ["thread", (id: string) => `/threads/${id}`],
    ["thread", (id: string) => `/threads/${id}/messages`],
    ["agent", (id: string) => `/agents/${id}`],
  ] as const;
  for (const [kind, path] of paths) {
    const theirs = victim.ids[kind]?.[0];
    if (theirs === undefined) continue;
    // Random twins, so that nothing is remembered of an id that was asked for before; two series of them measure the noise.
    const series: [string, () => string, number[]][] = [
      ["another's", () => theirs, []],
      ["nobody's", () => nobodys(theirs), []],
      ["nobody's, again", () => nobodys(theirs), []],
    ];
    for (let round = 0; round < ROUNDS; round++) {
      for (const [, id, times] of series.toSorted(() => Math.random() - 0.5)) {
        const begun = performance.now();
        await send(attacker.url, { method: "GET", path: path(id()), key: attacker.key });
        times.push(performance.now() - begun);
      }
    }
    const [a = 0, b = 0, c = 0] = series.map(([, , times]) => median(times));
    const noise = Math.max(Math.abs(b - c), spread(series[1]?.[2] ?? []) / Math.sqrt(ROUNDS));
    const apart = Math.abs(a - (b + c) / 2);
    figures.push(`${apart.toFixed(2)} ms`);
    if (apart > Math.max(HARMLESS_MS, BEYOND_NOISE * noise)) {
      const proof = `medians of ${ROUNDS}: another's ${a.toFixed(2)}, nobody's ${b.toFixed(2)} and ${c.toFixed(2)} ms; noise ${noise.toFixed(2)} ms`;
      findings.push(finding(`GET ${path("…")}`, "tells by its time what is another's from what is not there", proof));
    }
  }
  return { tried: paths.length, findings, told: `medians apart ${figures.join(", ")}` };
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

/** The middle half's width: what a single request varies by. */
function spread(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return (sorted[Math.floor(sorted.length * 0.75)] ?? 0) - (sorted[Math.floor(sorted.length * 0.25)] ?? 0);
}
