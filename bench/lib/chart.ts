/** A small SVG: one row an arm, p10 to p90 as a bar, the median as a tick with its number. */
import { quantile } from "./stats";

export interface ChartRow {
  label: string;
  samples: readonly number[];
}

const WIDTH = 720;
const LEFT = 210;
const RIGHT = 70;
const ROW = 26;
const TOP = 44;
const BOTTOM = 34;
const STEPS = [1, 2, 5]
  .flatMap((step) => [1, 10, 100, 1_000, 10_000].map((scale) => step * scale))
  .sort((a, b) => a - b);
const GRID_LINES_MAX = 8;
const COLORS: Record<string, string> = { M: "#8a8f98", L: "#c9822b", G: "#2b6cc9" };

interface Axis {
  /** Of the medians, with what separates it from them. */
  unit: string;
  /** What is counted, and which way is good. */
  caption: string;
}

const FIRST_TEXT: Axis = {
  unit: " ms",
  caption: "ms from sending the message to the first text; bar p10 to p90, tick p50",
};

export function chart(title: string, rows: readonly ChartRow[], { unit, caption }: Axis = FIRST_TEXT): string {
  const max = Math.max(...rows.map((row) => quantile(row.samples, 0.9))) * 1.05;
  const step = STEPS.find((candidate) => max / candidate <= GRID_LINES_MAX) ?? max;
  const x = (value: number) => LEFT + (value / max) * (WIDTH - LEFT - RIGHT);
  const bottom = TOP + rows.length * ROW;
  const grid = Array.from({ length: Math.floor(max / step) + 1 }, (_, i) => {
    const at = x(i * step).toFixed(1);
    return (
      `<line x1="${at}" x2="${at}" y1="${TOP - 6}" y2="${bottom}" stroke="#8884"/>` +
      `<text x="${at}" y="${bottom + 16}" text-anchor="middle" opacity=".7">${i * step}</text>`
    );
  });
  const bars = rows.map(({ label, samples }, i) => {
    const y = TOP + i * ROW;
    const [low, middle, high] = [0.1, 0.5, 0.9].map((q) => x(quantile(samples, q))) as [number, number, number];
    const color = COLORS[label.slice(0, 1)] ?? "#888";
    return (
      `<text x="${LEFT - 10}" y="${y + 14}" text-anchor="end">${escapeXml(label)}</text>` +
      `<rect x="${low.toFixed(1)}" y="${y + 3}" width="${Math.max(2, high - low).toFixed(1)}" height="14" rx="3" fill="${color}" opacity=".45"/>` +
      `<rect x="${(middle - 1.5).toFixed(1)}" y="${y}" width="3" height="20" rx="1" fill="${color}"/>` +
      `<text x="${(high + 8).toFixed(1)}" y="${y + 14}">${quantile(samples, 0.5).toFixed(0)}${unit}</text>`
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${bottom + BOTTOM}" viewBox="0 0 ${WIDTH} ${bottom + BOTTOM}" ` +
      `font-family="system-ui, sans-serif" font-size="12" fill="#666">`,
    `<title>${escapeXml(title)}</title>`,
    `<text x="10" y="20" font-size="14" font-weight="600">${escapeXml(title)}</text>`,
    ...grid,
    ...bars,
    `<text x="${LEFT}" y="${bottom + 30}" opacity=".7">${escapeXml(caption)}</text>`,
    "</svg>",
    "",
  ].join("\n");
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
