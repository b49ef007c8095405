import { dim, green, isInteractive, red } from "./style";

const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const SPINNER_INTERVAL_MS = 90;
const NAME_WIDTH = 13;
const DURATION_WIDTH = 7;

/** Steps under way, by what ends their display. */
const active = new Set<() => void>();

/** Stops showing the steps under way: they are being interrupted, and what comes of them is of no interest. */
export function abandonSteps(): void {
  for (const abandon of active) abandon();
}

/** One step of the work as it is shown: its name, and what to say of it now. */
export interface Step {
  /** Replaces what the spinner says; without a terminal nothing is printed until the step ends. */
  say(text: string): void;
}

/**
 * Runs one step and shows it as one aligned line: mark, name, duration, what it did. `work` returns what to say at the end.
 * Without a terminal the line is printed once, when the step ends, so that logs stay readable.
 */
export async function step(name: string, doing: string, work: (step: Step) => Promise<string>): Promise<void> {
  const startedAt = performance.now();
  let text = doing;
  let frame = 0;
  const draw = () => {
    frame = (frame + 1) % SPINNER.length;
    const room = Math.max(20, (process.stdout.columns ?? 80) - NAME_WIDTH - DURATION_WIDTH - 6);
    process.stdout.write(`\r\x1b[2K  ${SPINNER[frame]} ${line(name, startedAt, text.slice(0, room))}`);
  };
  const timer = isInteractive ? setInterval(draw, SPINNER_INTERVAL_MS) : undefined;
  let isAbandoned = false;
  const abandon = () => {
    isAbandoned = true;
    clearInterval(timer);
    active.delete(abandon);
  };
  active.add(abandon);
  const end = (mark: string, last: string) => {
    if (isAbandoned) return;
    abandon();
    process.stdout.write(`${isInteractive ? "\r\x1b[2K" : ""}  ${mark} ${line(name, startedAt, last)}\n`);
  };
  try {
    const said = await work({
      say: (now) => {
        text = now;
      },
    });
    end(green("✓"), said);
  } catch (error) {
    end(red("✗"), text);
    throw error;
  }
}

function line(name: string, startedAt: number, text: string): string {
  const duration = seconds(performance.now() - startedAt);
  return `${name.padEnd(NAME_WIDTH)}${dim(duration.padStart(DURATION_WIDTH))}  ${text}`;
}

/** 320 -> "0.3 s"; 65 000 -> "65 s". */
export function seconds(durationMs: number): string {
  const value = durationMs / 1000;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
}
