import type { Tx } from "../../db/tenant";
import type { Message } from "../../lib/events";
import { newId } from "../../lib/ids";
import type { AgentSeat, ThreadState } from "../thread-context";
import { tellAgent } from "./catch-up";
import { LEASE, PROCESS_ID } from "./lease";
import type { TurnToRun } from "./run-turn";

export interface QueuedTurn {
  id: string;
  agent_id: string;
  state: "queued" | "running";
}

interface Queue {
  orgId: string;
  threadId: string;
  /** The message to be answered, already in the log. */
  message: Message;
  seats: AgentSeat[];
  state: ThreadState;
}

/**
 * Stores one queued turn for each agent, leased to this process from the start, so that it can begin right after the commit and no
 * other process takes it meanwhile. An agent that is still answering takes the new turn when it has ended: `starting` holds the others.
 */
export async function queueTurns(tx: Tx, { orgId, threadId, message, seats, state }: Queue) {
  if (seats.length === 0) return { turns: [], starting: [] };
  const rows = seats.map((seat) => ({
    id: newId("turn"),
    agent_id: seat.agent_id,
    agent_version_id: seat.agent_version_id,
  }));
  await tx.exec`
    insert into turns (org_id, id, thread_id, agent_id, agent_version_id, message_seq, lease_owner, lease_until)
    select ${orgId}, id, ${threadId}, agent_id, agent_version_id, ${message.seq}, ${PROCESS_ID}, now() + ${LEASE}::text::interval
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as t(id text, agent_id text, agent_version_id text)`;

  const busy = new Set(state.context.running_turns.map((turn) => turn.agent_id));
  const starting: TurnToRun[] = [];
  for (const [index, seat] of seats.entries()) {
    const turnId = rows[index]?.id;
    if (turnId === undefined || busy.has(seat.agent_id)) continue;
    const content = await tellAgent(tx, { orgId, threadId, seat, message, state });
    starting.push({ orgId, threadId, turnId, seat, message, content, attempt: 1 });
  }
  const turns: QueuedTurn[] = rows.map(({ id, agent_id }) => ({ id, agent_id, state: "queued" }));
  return { turns, starting };
}
