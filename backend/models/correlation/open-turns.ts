import type { Context } from "../../lib/tracing";
import type { Meter } from "../metering/meter";
import type { ChatBody } from "../requests/chat-body";

/** Whether the model is asked ahead of Letta. `auto`: where guesses hit often enough for what they cost. `on` and `off` whatever they cost. */
export type AskAhead = "auto" | "on" | "off";

/**
 * The turns of this process that wait for Letta to ask its model on their behalf. Letta names the conversation in its request; whoever
 * opened the turn under that name hears the answer as it comes, before Letta has it.
 */
export type ModelEvent =
  /** Letta has asked: a step begins. */
  | { type: "asked"; step: number }
  | { type: "text"; text: string }
  | { type: "tool_call"; id: string; name: string; arguments: string }
  /** The step's answer is complete and on its way to Letta. */
  | { type: "answered"; step: number }
  /** The model gave no answer; Letta is told so, and the turn is to fail for this reason. */
  | { type: "failed"; reason: string; message: string; retryable: boolean };

export interface OpenTurn {
  readonly orgId: string;
  readonly turnId: string;
  readonly agentId: string;
  /** The tenant, as Letta names it in its requests. */
  readonly lettaUserId: string;
  readonly lettaAgentId: string;
  readonly conversationId: string;
  /** What Letta was told, as its requests for this turn have it, and the name it was sent under. */
  readonly content: string;
  readonly otid: string;
  readonly askAhead: AskAhead;
  /** What requests to the model on its behalf are parts of, once Letta is asked. */
  trace?: Context | undefined;
  /** Aborted when the turn is stopped: the upstream request ends at once, and Letta is given what was said so far. */
  readonly signal: AbortSignal;
  /** Counts what it takes, and stops it where it may take no more. */
  readonly meter: Meter;
  hear(event: ModelEvent): void;
  /**
   * Asked when Letta's first request lacks the last answer of its conversation: true when Letta has indeed lost it. Then it is given no
   * answer, and the turn begins anew.
   */
  doubt?(): Promise<boolean>;
  /** What a further step asks of the model: what Letta asks, with what was said to the turn meanwhile. */
  steer?(body: ChatBody): Promise<ChatBody>;
}

/** One turn a conversation: a second message in it waits for the first (Letta would mix the two up). */
const turns = new Map<string, OpenTurn>();

/** Opens a turn for Letta's requests; the answer closes it again. */
export function openTurn(turn: OpenTurn): () => void {
  if (turns.has(turn.conversationId)) throw new Error("a turn of this conversation is open already");
  turns.set(turn.conversationId, turn);
  return () => {
    if (turns.get(turn.conversationId) === turn) turns.delete(turn.conversationId);
  };
}

export function findOpenTurn(conversationId: string): OpenTurn | undefined {
  return turns.get(conversationId);
}
