import type { Tx } from "../../db/tenant";
import type { Message } from "../../lib/events";
import { newId } from "../../lib/ids";
import type { NewTurn } from "../log";
import type { AgentSeat, RunningTurn, ThreadState } from "../thread-context";
import { tellAgent } from "./catch-up";
import { CAN_STEER } from "./choose-source";
import type { TurnToRun } from "./run-turn";
import type { TurnState } from "./turn-state";
import type { Disposition, WhenBusy } from "./when-busy";

export interface QueuedTurn {
  id: string;
  agent_id: string;
  state: TurnState;
  /** What the message does at this agent. */
  disposition: Disposition;
  /** The turn that it waits for, interrupts or is to join; null when it starts at once. */
  busy_turn_id: string | null;
}

/** One turn for each agent, to be appended with the message that they answer; `busy` are the turns that the agents are at. */
export function newTurns(seats: AgentSeat[], busy: Map<string, RunningTurn>, whenBusy: WhenBusy): NewTurn[] {
  return seats.map(({ agent_id, agent_version_id }) => {
    const steers_turn_id = (whenBusy === "steer" && CAN_STEER && busy.get(agent_id)?.id) || null;
    return { id: newId("turn"), agent_id, agent_version_id, steers_turn_id };
  });
}

/** The new turns as the answer shows them. */
export function queuedTurns(turns: NewTurn[], busy: Map<string, RunningTurn>, whenBusy: WhenBusy): QueuedTurn[] {
  return turns.map(({ id, agent_id, steers_turn_id }) => {
    const at = busy.get(agent_id);
    const waiting = steers_turn_id ? "steering" : whenBusy === "interrupt" ? "interrupting" : "enqueued";
    return { id, agent_id, state: "queued", disposition: at ? waiting : "starting", busy_turn_id: at?.id ?? null };
  });
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

const NOBODY = { userId: null, keyId: null };

/** The turns that can begin now. An agent that is still answering takes its new turn when it has ended. */
export async function startable(
  tx: Tx,
  { orgId, threadId, message, seats, turns, state }: Queue,
): Promise<TurnToRun[]> {
  const busy = new Set(state.context.running_turns.map((turn) => turn.agent_id));
  const starting: TurnToRun[] = [];
  for (const [index, seat] of seats.entries()) {
    const turn = turns[index];
    if (turn === undefined || busy.has(seat.agent_id)) continue;
    const content = await tellAgent(tx, { orgId, threadId, seat, message, state });
    const { id: turnId, asker = NOBODY, reserved = null } = turn;
    starting.push({ orgId, threadId, turnId, seat, message, content, attempt: 1, asker, reserved });
  }
  return starting;
}
