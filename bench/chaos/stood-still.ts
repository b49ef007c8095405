/** When a process was stopped by a signal: nobody answers then, and how long it took is not said of Graphyn. */
interface Still {
  url: string;
  from: number;
  /** Infinity while it stands still. */
  until: number;
}

const stills: Still[] = [];

/** From now on, until what it returns is called. */
export function standsStill(url: string): () => void {
  const still: Still = { url, from: performance.now(), until: Number.POSITIVE_INFINITY };
  stills.push(still);
  return () => {
    still.until = performance.now();
  };
}

/** Milliseconds between two moments, on performance.now(), in which the process there stood still. */
export function stoodStill(url: string, from: number, until: number): number {
  return stills
    .filter((still) => still.url === url)
    .reduce((sum, still) => sum + Math.max(0, Math.min(until, still.until) - Math.max(from, still.from)), 0);
}
