import type { Tx } from "../../db/tenant";
import { priceOf } from "../../models/routing/price-of";
import { ARE_ALL_LIMITED } from "../../usage/ceilings";
import type { LimitState } from "../../usage/limit";
import { type Asker, reserve } from "../../usage/reserve";
import type { NewTurn } from "../log";
import type { AgentSeat, ThreadState } from "../thread-context";

interface Reserving {
  orgId: string;
  /** The thread under its lock. */
  state: ThreadState;
  seats: AgentSeat[];
  turns: NewTurn[];
  /** The message to be answered. */
  content: string;
  asker: Asker;
  /** 1; 0 for turns that agents ask of each other. */
  requests: 0 | 1;
}

export interface ReservedTurns {
  turns: NewTurn[];
  /** The limits that hold, with what is left. */
  limits: LimitState[];
}

/**
 * The turns with whom they are for and, where limits hold, what is set aside for them. Throws `quota_exceeded` when they do not fit: then
 * the transaction is to be rolled back. Nothing is done for a message that no agent answers.
 */
export async function reserveTurns(
  tx: Tx,
  { orgId, state, seats, turns, content, asker, requests }: Reserving,
): Promise<ReservedTurns> {
  if (turns.length === 0) return { turns, limits: [] };
  const isLimited = state.isLimited || ARE_ALL_LIMITED;
  const prices = isLimited ? await Promise.all(seats.map(({ model }) => priceOf(model))) : [];
  const asked = turns.map(({ id, agent_id, agent_version_id }, index) => {
    return { id, agent_id, agent_version_id, chars: content.length, price: prices[index] ?? null };
  });
  const { id: threadId } = state.context.thread;
  const reserved = await reserve(tx, { orgId, threadId, ...asker, requests, turns: asked }, isLimited);
  return {
    turns: turns.map((turn) => ({ ...turn, asker, reserved: reserved.turns.get(turn.id) ?? null })),
    limits: reserved.states,
  };
}
