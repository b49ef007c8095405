import log from "encore.dev/log";
import { db } from "../../../db/graphyn";
import type { Change, Hint, Hints } from "./hints";
import { openPostgresFanout } from "./postgres";
import { createPulse, PULSE_MS } from "./pulse";
import { openRedisFanout } from "./redis";

/**
 * What this process tells the others, and hears from them. Over PostgreSQL, or over Redis when REDIS_URL is set.
 *
 * To use it: `tell(orgId, threadId, change)` after the commit, and `onHint(change, hear)` to look for yourself, through `tenant()`, when
 * another process says so. Hints carry no content and may be lost: whatever you show must come right without them, only later.
 */
const listeners: { change: Change; hear: (hints: readonly Hint[] | "all") => void }[] = [];
const works: (() => Promise<void>)[] = [];

const { REDIS_URL } = process.env;
const open = REDIS_URL ? openRedisFanout : openPostgresFanout;
const fanout = open(REDIS_URL || db.connectionString, {
  hear: (hints) => {
    for (const { change, hear } of listeners) {
      const its = hints === "all" ? hints : hints.filter(({ changes }) => changes.has(change));
      if (its.length > 0) hear(its);
    }
  },
  warn: (what, details) => log.warn(what, details),
});

const pulse = createPulse({
  intervalMs: PULSE_MS,
  before: async () => {
    for (const work of works) await work();
  },
  send: (hints: Hints) => fanout.send(hints),
});

/** Tells other processes that a thread changed: at once when the last hints left long enough ago, within PULSE_MS otherwise. */
export function tell(orgId: string, threadId: string, change: Change): void {
  pulse.mark(orgId, threadId, change);
}

/**
 * Hears of changes in other processes, never of this one's own. `all`: hints were lost or too many, so look at everything you watch.
 * `hear` is called between two turns of the event loop and must return at once.
 */
export function onHint(change: Change, hear: (hints: readonly Hint[] | "all") => void): void {
  listeners.push({ change, hear });
}

/** Has `work` done before hints leave, and soon when `wantPulse` is called; it must not throw. What it stores it tells itself. */
export function beforeTelling(work: () => Promise<void>): void {
  works.push(work);
}

export function wantPulse(): void {
  pulse.want();
}

/** Resolves when all that was to be told has left this process. */
export function everythingTold(): Promise<void> {
  return pulse.idle();
}
