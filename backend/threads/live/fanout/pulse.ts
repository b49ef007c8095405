import type { Change, Hint, Hints } from "./hints";

/** On average a process tells the others at most 20 times a second what changed (and stores the words of its turns), however much there is. */
export const PULSE_MS = 50;
/** Words, of which more come all the time, leave a little more slowly: what that spares is for what somebody waits for. */
const WORDS_PER_PULSE = 0.83;
/** Everything else leaves after this part of a pulse already, as often as beats were spared. */
const SOON = 0.5;
const SPARED_MAX = 4;
/** What is stored already waits so long for words to be stored, a part of a pulse; where there is nothing else to tell, a whole one. */
const STORE_WAIT = 0.4;
/** Threads of one moment; beyond, everything is said to have changed. */
const PENDING_THREADS_MAX = 5_000;

export interface Pulse {
  /**
   * Marks a thread as changed. The others are told at once if the last time is long enough ago, else with the next beat: of words in 60 ms,
   * of anything else in 25, or in 50 when beats were spent so for a while.
   */
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
  let isUrgent = false;
  let spared = SPARED_MAX;
  /** While a beat stores: has it tell what there is, after so long since its beginning. */
  let tellAfter: ((pulses: number) => void) | null = null;
  const waiting: (() => void)[] = [];
  let last = Number.NEGATIVE_INFINITY;

  function want(): void {
    isWanted = true;
    if (timer === null && !isBeating) setTimer();
  }

  function wantSoon(): void {
    if (isUrgent && timer !== null) return;
    isWanted = isUrgent = true;
    tellAfter?.(STORE_WAIT);
    if (isBeating) return;
    if (timer !== null) clearTimeout(timer);
    setTimer();
  }

  function setTimer(): void {
    const now = performance.now();
    const soon = Math.max(now, last + SOON * intervalMs);
    const due = isUrgent ? (sparedAt(soon) >= 1 ? soon : last + intervalMs) : last + intervalMs / WORDS_PER_PULSE;
    timer = setTimeout(() => void beat(), Math.max(0, due - now));
  }

  /** Beats that may be made beyond the pace, if none is made before then. */
  function sparedAt(time: number): number {
    return Math.min(SPARED_MAX, spared + (time - last) / intervalMs);
  }

  async function beat(): Promise<void> {
    timer = null;
    isBeating = true;
    const hasMore = isUrgent;
    isWanted = isUrgent = false;
    const now = performance.now();
    spared = sparedAt(now) - 1;
    last = now;
    try {
      await stored(hasMore ? STORE_WAIT : 1);
      const hints = take();
      if (hints !== null) await send(hints);
    } finally {
      isBeating = false;
      if (isUrgent) setTimer();
      else if (isWanted || pending.size > 0) want();
      else for (const resolve of waiting.splice(0)) resolve();
    }
  }

  /** A database that is slow to store words must not hold back what is stored already; the words then leave as soon as they may. */
  async function stored(pulses: number): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    let isLate = false;
    const storing = before().then(() => {
      if (isLate && pending.size > 0) wantSoon();
    });
    await new Promise<void>((resolve) => {
      const giveUp = () => {
        isLate = true;
        resolve();
      };
      tellAfter = (after) => {
        clearTimeout(late);
        late = setTimeout(giveUp, Math.max(0, last + after * intervalMs - performance.now()));
      };
      tellAfter(pulses);
      void storing.then(resolve);
    });
    tellAfter = null;
    clearTimeout(late);
  }

  function take(): Hints | null {
    const hints: Hint[] = [...pending.values()];
    const all = isTooMany;
    pending = new Map();
    isTooMany = isUrgent = false;
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
      if (change === "text") want();
      else wantSoon();
    },
    want,
    async idle() {
      if (timer !== null || isBeating) await new Promise<void>((resolve) => void waiting.push(resolve));
    },
  };
}
