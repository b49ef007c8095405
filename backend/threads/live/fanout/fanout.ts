import type { Hints } from "./hints";

/** What a process hears of the others. */
export interface Ears {
  hear(hints: Hints): void;
  /** For the operator: a connection was lost, or could not be made. */
  warn(what: string, details: Record<string, string | number>): void;
}

/**
 * How processes on one database tell each other what changed. Delivery is a hint: it may be lost when a connection breaks, and then
 * `hear("all")` follows once it is back, on both sides of what was lost.
 */
export interface Fanout {
  /** Tells every other process. Resolves when it is sent or given up; never rejects. */
  send(hints: Hints): Promise<void>;
  /** Resolves once this process hears the others. */
  ready: Promise<void>;
  /** Ends the connections; resolves when they are gone. */
  close(): Promise<void>;
}

export type OpenFanout = (url: string, ears: Ears) => Fanout;
