import { blue, bold, dim, isInteractive, magenta, red } from "../terminal/style";
import { wrap } from "../terminal/wrap";
import type { Answer } from "./ask";

const COLUMN_WIDTH_MIN = 34;
const GAP = "  │  ";
const INDENT = "  ";
const PALETTE = [blue, magenta];
/** Lines of the screen that stay free below the answers. */
const ROWS_FREE = 4;

/**
 * Shows answers while they come: side by side on a terminal that is wide enough, one under the other on a narrow one,
 * and each at once when it is complete where nobody watches.
 */
export function answersView(): { update: (answers: readonly Answer[]) => void; end: () => void } {
  return isInteractive ? liveView() : plainView();
}

function plainView() {
  const printed = new Set<Answer>();
  return {
    update: (answers: readonly Answer[]) => {
      for (const answer of answers) {
        if (answer.endedMs === undefined || printed.has(answer)) continue;
        printed.add(answer);
        console.log(`${INDENT}${answer.name} (${timing(answer)}): ${answer.error ?? answer.text}`);
      }
    },
    end: () => undefined,
  };
}

function liveView() {
  let drawn = 0;
  let last: readonly Answer[] = [];
  const draw = (rowsMax: number) => {
    const lines = layout(last, (process.stdout.columns ?? 80) - 1);
    const shown = lines.length > rowsMax ? lines.slice(-rowsMax) : lines;
    const up = drawn > 0 ? `\x1b[${drawn}A` : "";
    process.stdout.write(`${up}\r\x1b[0J${shown.join("\n")}\n`);
    drawn = shown.length;
  };
  return {
    update: (answers: readonly Answer[]) => {
      last = answers;
      if (answers.length > 0) draw((process.stdout.rows ?? 24) - ROWS_FREE);
    },
    end: () => {
      if (last.length > 0) draw(Number.POSITIVE_INFINITY);
    },
  };
}

function layout(answers: readonly Answer[], width: number): string[] {
  const columnWidth = Math.floor((width - INDENT.length - GAP.length * (answers.length - 1)) / answers.length);
  if (answers.length > 1 && columnWidth >= COLUMN_WIDTH_MIN) {
    const columns = answers.map((answer, i) => column(answer, i, columnWidth));
    const height = Math.max(...columns.map((lines) => lines.length));
    const rows = Array.from({ length: height }, (_, row) =>
      columns.map((lines) => lines[row] ?? { shown: "", length: 0 }),
    );
    return rows.map(
      (cells) =>
        INDENT +
        cells
          .map((cell) => cell.shown + " ".repeat(columnWidth - cell.length))
          .join(dim(GAP))
          .trimEnd(),
    );
  }
  return answers.flatMap((answer, i) => [
    ...column(answer, i, width - INDENT.length).map((cell) => INDENT + cell.shown),
    "",
  ]);
}

/** The name, the times and the text of one answer, with each line's width as the eye sees it. */
function column(answer: Answer, index: number, width: number): { shown: string; length: number }[] {
  const colour = PALETTE[index % PALETTE.length] ?? blue;
  const time = timing(answer);
  const head = `${answer.name}  ${time}`;
  const text = answer.error ?? answer.text;
  const lines = wrap(text, width).map((line) => ({ shown: answer.error ? red(line) : line, length: line.length }));
  return [{ shown: `${bold(colour(answer.name))}  ${dim(time)}`, length: Math.min(head.length, width) }, ...lines];
}

function timing({ firstTokenMs, endedMs, error }: Answer): string {
  if (error) return "did not answer";
  if (firstTokenMs === undefined) return endedMs === undefined ? "…" : "nothing to say";
  const first = `first token after ${Math.round(firstTokenMs)} ms`;
  return endedMs === undefined ? first : `${first}, complete after ${Math.round(endedMs)} ms`;
}
