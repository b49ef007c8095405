import { type Tx, tenant } from "../../db/tenant";
import type { CancelReason, LogEntry } from "../../lib/events";
import { publish } from "../live/channels";
import { tell } from "../live/fanout/tell";
import { appendLog } from "../log";
import { stopTurn } from "./run-turn";
import type { TurnState } from "./turn-state";

/** How long whoever cancels waits for a turn that another process runs. Hints between processes take milliseconds; lost ones 2 s. */
const ELSEWHERE_MS_MAX = 5_000;
const ELSEWHERE_LOOK_MS = 100;

export interface CancelTarget {
  id: string;
  agent_id: string;
  state: TurnState;
}

/** Who wants it, and for what: the log tells both. */
export interface CancelOrder {
  /** A user's id. */
  by: string;
  reason: CancelReason;
}

export interface Cancelling {
  /** Asked to stop; or to be stopped, should they be about to begin. */
  turns: string[];
  /** To publish after the commit. */
  entries: LogEntry[];
}

export const NOTHING_CANCELLED: Cancelling = { turns: [], entries: [] };

/**
 * Cancels turns, under the thread's lock: a queued one at once, a running one by asking the process that runs it, wherever that is. One
 * whose message has joined a running turn ends with that turn, so that one is asked. Those that have ended stay as they are.
 * `finishCancelling` does the rest, after the commit.
 */
export async function requestCancel(
  tx: Tx,
  orgId: string,
  threadId: string,
  turnIds: string[],
  { by, reason }: CancelOrder,
): Promise<Cancelling> {
  if (turnIds.length === 0) return NOTHING_CANCELLED;
  const asked = await tx.queryAll<{ id: string }>`
    update turns set cancel_requested_at = coalesce(cancel_requested_at, now()),
      cancelled_by = coalesce(cancelled_by, ${by}), cancel_reason = coalesce(cancel_reason, ${reason})
    where org_id = ${orgId} and thread_id = ${threadId} and state = 'running' and (id = any(${turnIds}::text[]) or id in (
      select steers_turn_id from turns
      where org_id = ${orgId} and thread_id = ${threadId} and id = any(${turnIds}::text[]) and joined_at is not null and state = 'queued'))
    returning id`;
  const ended = await tx.queryAll<{ id: string; agent_id: string }>`
    with ended as (
      update turns set state = 'cancelled', ended_at = now(), cancel_requested_at = now(), cancelled_by = ${by}, cancel_reason = ${reason}
      where org_id = ${orgId} and thread_id = ${threadId} and id = any(${turnIds}::text[]) and state = 'queued' and joined_at is null
      returning id, agent_id)
    select id, agent_id from ended order by id`;
  const entries =
    ended.length === 0
      ? []
      : await appendLog(
          tx,
          orgId,
          threadId,
          ended.map(({ id, agent_id }) => ({
            type: "turn_cancelled",
            turn_id: id,
            agent_id,
            message_id: null,
            cancelled_by: by,
            reason,
          })),
        );
  return { turns: [...asked, ...ended].map(({ id }) => id), entries };
}

/** The queued and running turns of a thread: cancelled all together, they are what its agents are doing. */
export async function liveTurns(tx: Tx, orgId: string, threadId: string): Promise<string[]> {
  const live = await tx.queryAll<{ id: string }>`
    select id from turns where org_id = ${orgId} and thread_id = ${threadId} and state in ('queued', 'running') order by id`;
  return live.map(({ id }) => id);
}

/** Tells the thread's readers and whoever runs the turns; those of this process are being stopped when it returns. */
export function beginCancelling(orgId: string, threadId: string, { turns, entries }: Cancelling): Promise<boolean[]> {
  publish(orgId, threadId, entries);
  if (turns.length > 0) tell(orgId, threadId, "turns");
  return Promise.all(turns.map((id) => stopTurn(id, "cancelled")));
}

/** The same, and waits for the turns to end: those of this process, and for ELSEWHERE_MS_MAX those of others. */
export async function finishCancelling(orgId: string, threadId: string, cancelling: Cancelling): Promise<void> {
  await beginCancelling(orgId, threadId, cancelling);
  const until = performance.now() + ELSEWHERE_MS_MAX;
  while (await anyLive(orgId, cancelling.turns)) {
    if (performance.now() > until) return;
    await new Promise((resolve) => setTimeout(resolve, ELSEWHERE_LOOK_MS));
  }
}

async function anyLive(orgId: string, turnIds: string[]): Promise<boolean> {
  if (turnIds.length === 0) return false;
  const row = await tenant(
    orgId,
    (tx) => tx.queryRow`
      select 1 as live from turns
      where org_id = ${orgId} and id = any(${turnIds}::text[]) and state in ('queued', 'running') limit 1`,
  );
  return row !== null;
}
