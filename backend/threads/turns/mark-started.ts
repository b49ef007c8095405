import { tenant } from "../../db/tenant";
import type { LogEntry } from "../../lib/events";
import { holdThread } from "../hold-thread";
import { publish } from "../live/channels";
import { appendLog } from "../log";
import { LEASE, PROCESS_ID } from "./lease";
import type { TurnToRun } from "./run-turn";
import { statesFor } from "./turn-state";

/**
 * Turns a queued turn into a running one, with its entry in the log; returns that entry, or null when the turn is queued no more
 * (cancelled meanwhile, or another process took it).
 */
export async function markStarted(turn: TurnToRun): Promise<LogEntry | null> {
  const { orgId, threadId, turnId, seat, message, attempt } = turn;
  const entries = await tenant(orgId, async (tx) => {
    // The thread's lock first: every writer takes the locks in this order.
    await holdThread(tx, orgId, threadId);
    const mine = await tx.queryRow`
      update turns
      set state = 'running', started_at = now(), attempt = ${attempt}, lease_owner = ${PROCESS_ID},
        lease_until = now() + ${LEASE}::text::interval
      where org_id = ${orgId} and id = ${turnId} and state = any(${statesFor("start")}::text[]) and lease_owner = ${PROCESS_ID}
      returning id`;
    if (!mine) return [];
    const { agent_id, name } = seat;
    return appendLog(tx, orgId, threadId, [
      { type: "turn_started", turn_id: turnId, agent_id, agent_name: name, message_id: message.id },
    ]);
  });
  publish(orgId, threadId, entries);
  return entries[0] ?? null;
}
