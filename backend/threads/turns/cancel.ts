import type { Tx } from "../../db/tenant";
import type { LogEntry } from "../../lib/events";
import { publish } from "../live/channels";
import { appendLog } from "../log";
import { stopTurn } from "./run-turn";
import type { TurnState } from "./turn-state";

export interface CancelTarget {
  id: string;
  agent_id: string;
  state: TurnState;
}

/**
 * Cancels a turn, under the thread's lock: a queued one at once, a running one by asking the process that runs it. Returns the entries
 * to publish after the commit.
 */
export async function requestCancel(tx: Tx, orgId: string, threadId: string, turn: CancelTarget): Promise<LogEntry[]> {
  if (turn.state === "running") {
    await tx.exec`
      update turns set cancel_requested_at = coalesce(cancel_requested_at, now())
      where org_id = ${orgId} and id = ${turn.id} and state = 'running'`;
    return [];
  }
  if (turn.state !== "queued") return [];
  await tx.exec`
    update turns set state = 'cancelled', ended_at = now(), cancel_requested_at = now()
    where org_id = ${orgId} and id = ${turn.id} and state = 'queued'`;
  return appendLog(tx, orgId, threadId, [
    { type: "turn_cancelled", turn_id: turn.id, agent_id: turn.agent_id, message_id: null },
  ]);
}

export interface Cancelling {
  turns: CancelTarget[];
  /** To publish after the commit. */
  entries: LogEntry[];
}

/** Cancels every queued and running turn of a thread, under its lock. `finishCancelling` does the rest, after the commit. */
export async function requestCancelAll(tx: Tx, orgId: string, threadId: string): Promise<Cancelling> {
  const turns = await tx.queryAll<CancelTarget>`
    select id, agent_id, state from turns
    where org_id = ${orgId} and thread_id = ${threadId} and state in ('queued', 'running') order by id`;
  const entries: LogEntry[] = [];
  for (const turn of turns) entries.push(...(await requestCancel(tx, orgId, threadId, turn)));
  return { turns, entries };
}

/** Tells the thread's readers, and waits for the turns of this process to end; those of others do within two seconds. */
export async function finishCancelling(orgId: string, threadId: string, { turns, entries }: Cancelling): Promise<void> {
  publish(orgId, threadId, entries);
  await Promise.all(turns.map(({ id }) => stopTurn(id, "cancelled")));
}
