import type { Delivery } from "./place";

/**
 * A transport's encoder that encodes a delivery once, however many readers it goes to: a channel gives the same object to one reader after
 * the other, so the last one is all there is to remember.
 */
export function encodeOnce<T>(encode: (delivery: Delivery) => T): (delivery: Delivery) => T {
  let last: { delivery: Delivery; encoded: T } | null = null;
  return (delivery) => {
    if (last?.delivery !== delivery) last = { delivery, encoded: encode(delivery) };
    return last.encoded;
  };
}
