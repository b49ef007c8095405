import type { Tx } from "../../db/tenant";
import type { NewTurn } from "../log";
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
  await tx.exec`
    insert into turns (org_id, id, thread_id, agent_id, agent_version_id, message_seq, lease_owner, lease_until, exchange_seq, hop, branch)
    select ${orgId}, n.id, ${threadId}, n.agent_id, n.agent_version_id, ${messageSeq}, ${PROCESS_ID}, now() + ${LEASE}::text::interval,
      o.exchange_seq, coalesce(o.hop, 0), h.branch
    from jsonb_to_recordset(${JSON.stringify(turns)}::text::jsonb) as n(id text, agent_id text, agent_version_id text)
      join threads h on h.org_id = ${orgId} and h.id = ${threadId}
      left join turns o on o.org_id = ${orgId} and o.thread_id = ${threadId} and o.id = ${like}::text`;
}
