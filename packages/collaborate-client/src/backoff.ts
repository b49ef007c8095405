const BASE_MS = 250;
const MAX_MS = 30_000;

/**
 * How long to wait before connecting again: random up to a bound that doubles with each failure in a row ("full jitter",
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), never less than the server asked for. After a server's own
 * goodbye all of its clients come back at once, so also the first wait is random.
 */
export function backoffMs(failures: number, afterMs = 0, random = Math.random): number {
  return afterMs + random() * Math.min(MAX_MS, BASE_MS * 2 ** Math.min(failures, 20));
}
