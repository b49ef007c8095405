/** The first pause before a broken connection is made again, and the longest; each is up to twice the one before, and random below that. */
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 5_000;
/** A connection that lived for so long was a good one: the next pause is short again. */
const GOOD_MS_MIN = 10_000;

interface Connected {
  /** Runs `live` once, from connecting to the end of the connection; throws when it breaks. */
  live: (closing: AbortSignal) => Promise<void>;
  onBroken: (error: unknown, pauseMs: number) => void;
}

/** Keeps a connection: whenever it ends it is made again, after a pause that grows and is random, so that many do not come back at once. */
export function keepConnected({ live, onBroken }: Connected): () => Promise<void> {
  const closing = new AbortController();
  const ended = (async () => {
    let tries = 0;
    while (!closing.signal.aborted) {
      const begun = performance.now();
      try {
        await live(closing.signal);
      } catch (error) {
        if (closing.signal.aborted) return;
        if (performance.now() - begun > GOOD_MS_MIN) tries = 0;
        const pause = Math.random() * Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** tries++);
        onBroken(error, Math.round(pause));
        await sleep(pause, closing.signal);
      }
    }
  })();
  return () => {
    closing.abort();
    return ended;
  };
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
