import { costMicros } from "../models/metering/cost";
import type { ModelAsk } from "../models/metering/meter";

/**
 * What is set aside for an answer before its model is asked, in tokens; an answer that grows longer has as much again set aside each time
 * (meter.ts). Small, so that little is kept from others; not too small, because each time costs a transaction.
 */
export const ANSWER_TOKENS = 512;
/** Prompts are estimated above what they are, so that few turns need more than was set aside: most text has four characters a token. */
export const PROMPT_CHARS_PER_TOKEN = 3;

/** What is set aside for a turn. */
export interface Reserved {
  /** The turn counts in this minute and month, whenever it ends. */
  at: Date;
  tokens: number;
  costMicros: number;
}

/** What a call comes to whose answer may be as long as one is thought to be: a summary, which takes as much as the conversation that it is of. */
export function wholeCall({ price, estimate }: Pick<ModelAsk, "price" | "estimate">): {
  tokens: number;
  costMicros: number;
} {
  const usage = estimate(ANSWER_TOKENS * 4);
  const cost = price === null ? 0 : costMicros(usage, price);
  return { tokens: usage.prompt_tokens + usage.completion_tokens, costMicros: cost };
}
