import type { Tx } from "../../db/tenant";
import { type NewTurn, spendingOf } from "../log";
import { LEASE, PROCESS_ID } from "../turns/lease";

interface Asking {
  orgId: string;
  threadId: string;
  /** The message to be answered, which is in the log already. */
  messageSeq: number;
  turns: NewTurn[];
  /** The turn whose answer this one takes the place of: it counts in the same exchange. Null for a message that is simply asked again. */
  like: string | null;
}

/** Queues turns on a message that was said before, in the branch that the thread is on; leased to this process, as `appendLog` does. */
export async function askAgain(tx: Tx, { orgId, threadId, messageSeq, turns, like }: Asking): Promise<void> {
  const asked = turns.map((turn) => ({ ...turn, ...spendingOf(turn) }));
  await tx.exec`
    insert into turns (org_id, id, thread_id, agent_id, agent_version_id, message_seq, lease_owner, lease_until, exchange_seq, hop, branch,
      asked_by, asked_key, reserved_at, reserved_tokens, reserved_cost_micros)
    select ${orgId}, n.id, ${threadId}, n.agent_id, n.agent_version_id, ${messageSeq}, ${PROCESS_ID}, now() + ${LEASE}::text::interval,
      o.exchange_seq, coalesce(o.hop, 0), h.branch, n.asked_by, n.asked_key, n.reserved_at, coalesce(n.reserved_tokens, 0),
      coalesce(n.reserved_cost_micros, 0)
    from jsonb_to_recordset(${JSON.stringify(asked)}::text::jsonb) as n(id text, agent_id text, agent_version_id text, asked_by text,
        asked_key text, reserved_at timestamptz, reserved_tokens bigint, reserved_cost_micros bigint)
      join threads h on h.org_id = ${orgId} and h.id = ${threadId}
      left join turns o on o.org_id = ${orgId} and o.thread_id = ${threadId} and o.id = ${like}::text`;
}
