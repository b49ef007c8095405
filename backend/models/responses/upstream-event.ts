import type { Usage } from "../metering/usage";
import type { Price } from "../upstreams/upstream";

/** What an answer consists of, in the order in which it comes: `begin`, then words, thoughts and calls mixed, then `finish` and `usage`. */
export type UpstreamEvent =
  /** Once, before everything else: who answers. `model` is the upstream's own id. */
  | { type: "begin"; upstream: string; model: string; attempt: number; ownKey: boolean; price: Price | null }
  | { type: "text"; text: string }
  | { type: "reasoning"; text: string }
  /** A piece of a tool call. The first piece of each index carries its id and name, later ones null for both. */
  | { type: "tool_call"; index: number; id: string | null; name: string | null; arguments: string }
  | { type: "finish"; reason: FinishReason }
  | { type: "usage"; usage: Usage };

/**
 * Whoever is handed an answer's events, one after the other as they come. What it returns is waited for before the next, which is seldom:
 * a token goes from the upstream's bytes to its readers in one call, without a promise (measured: bench/fanout, 100 threads).
 */
export type TakeEvent = (event: UpstreamEvent) => void | Promise<void>;

/** Hands over several. */
export function handEach(events: readonly UpstreamEvent[], take: TakeEvent): void | Promise<void> {
  for (const [index, event] of events.entries()) {
    const waits = take(event);
    if (waits) return waits.then(() => handEach(events.slice(index + 1), take));
  }
}

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter";
