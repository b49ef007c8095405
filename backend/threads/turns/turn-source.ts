import type { AskAhead } from "../../models/correlation/open-turns";
import type { TurnMeter } from "../../usage/meter";

/**
 * The one seam a turn takes its words from. Its first implementation relays Letta's own stream (letta-relay.ts).
 * A source tells events as they come and resolves after the last; it throws a SourceError when the answer cannot be had. It stops when
 * `signal` says so. What it tells is taken at once: between the model and the readers no promise stands for each token.
 */
export type TurnEvent =
  | { type: "text"; text: string }
  | { type: "tool_call"; id: string; name: string; arguments: string }
  | { type: "tool_return"; id: string; ok: boolean }
  | { type: "run"; run_id: string }
  /** `stored`: Letta has the turn, its message and its answer. */
  | { type: "end"; stop_reason: string; stored: boolean };

export interface TurnInput {
  orgId: string;
  threadId: string;
  turnId: string;
  agentId: string;
  lettaAgentId: string;
  conversationId: string;
  /** What the agent is told: the new message, after what it has not heard yet. */
  content: string;
  /** Whether the model may be asked before Letta asks it, where that can be done. */
  askAhead: AskAhead;
  /** Of the turn; a retry of the same attempt can be told from a new one. */
  attempt: number;
  /** The language model, as the gateway names it. */
  model: string;
  /** Counts what the model takes, and stops the turn where it may take no more. */
  meter: TurnMeter;
  /** Called when there is a place for the turn among those that Letta answers at once: until then it only waits. */
  admitted: () => void;
}

export type TurnSource = (input: TurnInput, signal: AbortSignal, tell: (event: TurnEvent) => void) => Promise<void>;

/** Why there is no answer: a stable reason, a sentence for people, and whether trying again can help. */
export class SourceError extends Error {
  /** The source has tried again already, as often as makes sense: the turn need not. */
  readonly tried: boolean;
  constructor(
    readonly reason: string,
    message: string,
    readonly retryable: boolean,
    options: ErrorOptions & { tried?: boolean } = {},
  ) {
    super(message, options);
    this.tried = options.tried ?? false;
    this.name = "SourceError";
  }
}
