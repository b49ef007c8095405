/** An SVG of how long organizations wait: a row a phase, each organization a tick at its wait against the median's, and the bar at twice that. */
import { quantile } from "../lib/stats";
import type { Phase } from "./report";

const WIDTH = 720;
const LEFT = 210;
const RIGHT = 30;
const ROW = 28;
const TOP = 44;
/** Times the median; what is further right is drawn at the end. */
const MOST = 3;
const BAR = 2;

export function chart(all: readonly Phase[]): string {
  const phases = all.filter(({ name }) => name === "all at once" || name === "one of them noisy");
  const x = (times: number) => (LEFT + (Math.min(times, MOST) / MOST) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const bottom = TOP + phases.length * ROW;
  const grid = Array.from(
    { length: MOST + 1 },
    (_, n) =>
      `<line x1="${x(n)}" x2="${x(n)}" y1="${TOP - 6}" y2="${bottom}" stroke="${n === BAR ? "#c0392b" : "#8884"}"/>` +
      `<text x="${x(n)}" y="${bottom + 16}" text-anchor="middle" opacity=".7">${n} ×</text>`,
  );
  const rows = phases.flatMap(({ name, lettas, waiting_ms }, row) => {
    const y = TOP + row * ROW;
    const median = quantile(waiting_ms, 0.5);
    return [
      `<text x="${LEFT - 10}" y="${y + 15}" text-anchor="end">${name}, ${lettas} Letta</text>`,
      ...waiting_ms.map(
        (ms) => `<rect x="${x(ms / median)}" y="${y + 2}" width="1.5" height="18" fill="#2b6cc9" opacity=".5"/>`,
      ),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${bottom + 36}" viewBox="0 0 ${WIDTH} ${bottom + 36}" font-family="system-ui, sans-serif" font-size="12" fill="#666">`,
    "<title>How long organizations wait, against the median organization</title>",
    '<text x="10" y="20" font-size="14" font-weight="600">How long organizations wait, against the median organization</text>',
    ...grid,
    ...rows,
    "</svg>",
    "",
  ].join("\n");
}
