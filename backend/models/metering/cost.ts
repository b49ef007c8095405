import type { Price } from "../upstreams/upstream";
import type { Usage } from "./usage";

/** What tokens cost, in millionths of a US dollar: a price of dollars for a million tokens is one of millionths for a token. */
export function costMicros(
  {
    prompt_tokens,
    cached_tokens,
    completion_tokens,
  }: Pick<Usage, "prompt_tokens" | "cached_tokens" | "completion_tokens">,
  price: Price,
): number {
  const cached = Math.min(cached_tokens ?? 0, prompt_tokens);
  return Math.round(
    (prompt_tokens - cached) * price.prompt + cached * price.cachedPrompt + completion_tokens * price.completion,
  );
}
