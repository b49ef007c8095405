import type { Tx } from "../../db/tenant";
import type { Message } from "../../lib/events";
import { newId } from "../../lib/ids";
import type { NewTurn } from "../log";
import type { AgentSeat, ThreadState } from "../thread-context";
import { tellAgent } from "./catch-up";
import type { TurnToRun } from "./run-turn";

export interface QueuedTurn {
  id: string;
  agent_id: string;
  state: "queued" | "running";
}

/** One turn for each agent, to be appended with the message that they answer. */
export function newTurns(seats: AgentSeat[]): NewTurn[] {
  return seats.map(({ agent_id, agent_version_id }) => ({ id: newId("turn"), agent_id, agent_version_id }));
}

interface Queue {
  orgId: string;
  threadId: string;
  /** The message to be answered. */
  message: Message;
  seats: AgentSeat[];
  turns: NewTurn[];
  /** The thread as it was before the message. */
  state: ThreadState;
}

/** The turns that can begin now. An agent that is still answering takes its new turn when it has ended. */
export async function startable(
  tx: Tx,
  { orgId, threadId, message, seats, turns, state }: Queue,
): Promise<TurnToRun[]> {
  const busy = new Set(state.context.running_turns.map((turn) => turn.agent_id));
  const starting: TurnToRun[] = [];
  for (const [index, seat] of seats.entries()) {
    const turnId = turns[index]?.id;
    if (turnId === undefined || busy.has(seat.agent_id)) continue;
    const content = await tellAgent(tx, { orgId, threadId, seat, message, state });
    starting.push({ orgId, threadId, turnId, seat, message, content, attempt: 1 });
  }
  return starting;
}
