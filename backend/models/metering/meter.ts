import type { Price } from "../upstreams/upstream";
import type { Usage } from "./usage";

/** A call to a model that is about to be made. */
export interface ModelAsk {
  model: string;
  /** Null: not known. */
  price: Price | null;
  /** What it comes to, should it end with so many characters of its answer. */
  estimate(answerChars: number): Usage;
}

/**
 * Counts what a turn takes of language models, call by call, and says whether it may go on. What it holds to is not the gateway's matter
 * (usage/meter.ts). Where it answers false the turn is being stopped already, and nothing more is to be asked or said.
 */
export interface Meter {
  /** Before a model is asked, each time: whether it may be. */
  ask(call: ModelAsk): Promise<boolean>;
  /** So many characters of the answer have come: whether they may be passed on. Answers at once, nearly always. */
  heard(chars: number): boolean | Promise<boolean>;
  /**
   * The call has ended: with what the provider counted, or without its having said; `isCharged` is false where the provider refused it.
   * Answers what was counted of it.
   */
  ended(usage: Usage | null, isCharged: boolean): Usage | null;
}
