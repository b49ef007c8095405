import type { Change, Hint, Hints } from "./hints";

/** At most 20 times a second a process tells the others what changed (and stores the words of its turns), however much there is. */
export const PULSE_MS = 50;
/** Threads of one moment; beyond, everything is said to have changed. */
const PENDING_THREADS_MAX = 5_000;

export interface Pulse {
  /** Marks a thread as changed. The others are told at once if the last time is long enough ago, else with the next beat. */
  mark(orgId: string, threadId: string, change: Change): void;
  /** A beat is wanted for what `before` does. */
  want(): void;
  /** Resolves when all that was marked has left. */
  idle(): Promise<void>;
}

interface Beat {
  intervalMs: number;
  /** What each beat begins with: it stores what it then marks, so that both leave together. */
  before: () => Promise<void>;
  send: (hints: Hints) => Promise<void>;
}

/**
 * One clock for all that leaves this process: first stored, then told. Two clocks beside each other would add up their waits.
 * Marks of one thread between two beats become one hint.
 */
export function createPulse({ intervalMs, before, send }: Beat): Pulse {
  let pending = new Map<string, { orgId: string; threadId: string; changes: Set<Change> }>();
  let isTooMany = false;
  let timer: NodeJS.Timeout | null = null;
  let isBeating = false;
  let isWanted = false;
  const waiting: (() => void)[] = [];
  let last = Number.NEGATIVE_INFINITY;

  function want(): void {
    isWanted = true;
    if (timer !== null || isBeating) return;
    timer = setTimeout(() => void beat(), Math.max(0, last + intervalMs - performance.now()));
  }

  async function beat(): Promise<void> {
    timer = null;
    isBeating = true;
    isWanted = false;
    last = performance.now();
    try {
      // A database that is slow to store words must not hold back what is stored already.
      await Promise.race([before(), new Promise((resolve) => setTimeout(resolve, intervalMs))]);
      const hints = take();
      if (hints !== null) await send(hints);
    } finally {
      isBeating = false;
      if (isWanted || pending.size > 0) want();
      else for (const resolve of waiting.splice(0)) resolve();
    }
  }

  function take(): Hints | null {
    const hints: Hint[] = [...pending.values()];
    const all = isTooMany;
    pending = new Map();
    isTooMany = false;
    if (all) return "all";
    return hints.length === 0 ? null : hints;
  }

  return {
    mark(orgId, threadId, change) {
      const key = `${orgId}/${threadId}`;
      const known = pending.get(key);
      if (known) known.changes.add(change);
      else if (pending.size < PENDING_THREADS_MAX) pending.set(key, { orgId, threadId, changes: new Set([change]) });
      else isTooMany = true;
      want();
    },
    want,
    async idle() {
      if (timer !== null || isBeating) await new Promise<void>((resolve) => void waiting.push(resolve));
    },
  };
}
