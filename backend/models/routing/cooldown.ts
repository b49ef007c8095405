/** Upstreams that have just failed are asked last for a while; they are never refused. */
import type { UpstreamError } from "../upstreams/upstream-error";

const FAILED_MS = 5_000;
/** A wrong key and an empty account do not mend by themselves. */
const REFUSED_MS = 60_000;
const RATE_MS_MAX = 60_000;
const ENTRIES_MAX = 10_000;

const coldUntil = new Map<string, number>();

export function isCold(key: string): boolean {
  const until = coldUntil.get(key);
  if (until === undefined) return false;
  if (until > performance.now()) return true;
  coldUntil.delete(key);
  return false;
}

export function cool(key: string, { reason, retryAfterMs }: UpstreamError): void {
  if (coldUntil.size >= ENTRIES_MAX) coldUntil.delete(coldUntil.keys().next().value as string);
  const ms =
    reason === "key_invalid" || reason === "out_of_credit"
      ? REFUSED_MS
      : Math.max(FAILED_MS, Math.min(retryAfterMs ?? 0, RATE_MS_MAX));
  coldUntil.set(key, performance.now() + ms);
}

export function warm(key: string): void {
  coldUntil.delete(key);
}
