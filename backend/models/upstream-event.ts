import type { Price } from "./upstream";

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

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter";

/** Tokens of one request. */
export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  /** Of the prompt's, those the provider had in its cache; null when it does not say. */
  cached_tokens: number | null;
  /** Of the completion's, those nobody sees; null when the provider does not say. */
  reasoning_tokens: number | null;
  /** The provider said nothing: four characters were taken for a token. */
  estimated: boolean;
}
