/**
 * A turn that Letta told us is stored, and is not. When the last of its writes fails, that of the messages, Letta 0.16.8 reports `end_turn`
 * all the same (letta_agent_v3.py returns from a `finally`, which drops the error). The conversation's next request shows it, because it
 * lacks that answer (models/ask-ahead/). Then the lost turn counts as unsettled, and the one that found out begins anew: it tells the
 * agent what Letta lacks (settle.ts).
 */
import log from "encore.dev/log";
import { tenant } from "../../db/tenant";
import { holdThread } from "../hold-thread";
import { readMessages } from "./settle";
import { SourceError, type TurnInput } from "./turn-source";
import { messageOf } from "./what-letta-has";

const LOST = {
  reason: "forgotten",
  message: "The agent server has lost the last answer of this conversation.",
  retryable: true,
} as const;

/** Ends a run of a turn that is to begin anew: what the agent has heard of the conversation is less than was thought. */
export class Forgotten extends SourceError {
  constructor(
    readonly conversationId: string,
    /** Up to where the agent has heard, for sure. */
    readonly heardSeq: number,
  ) {
    super(LOST.reason, LOST.message, LOST.retryable);
  }
}

/**
 * Asks Letta whether it has the conversation's last turn of which it said so. When it has not, that turn is unsettled from now on, and the
 * error is returned by which the present one begins anew; otherwise null. Throws SourceError when Letta cannot be asked.
 */
export async function findForgotten(now: TurnInput): Promise<Forgotten | null> {
  const { orgId, threadId, turnId, conversationId } = now;
  const last = await tenant(
    orgId,
    (tx) => tx.queryRow<{ id: string }>`
      select l.id from turns t join turns l
        on (l.org_id, l.thread_id, l.agent_version_id, l.branch) = (t.org_id, t.thread_id, t.agent_version_id, t.branch)
      where t.org_id = ${orgId} and t.id = ${turnId} and l.message_seq < t.message_seq and l.state = 'completed' and l.letta_lacks = 0
        and l.joined_at is null
      order by l.message_seq desc limit 1`,
  );
  if (!last || messageOf(last.id, await readMessages(orgId, conversationId, [last.id]))) return null;
  log.warn("Letta has not stored a turn of which it said so; it is told again", { turn_id: last.id });
  // What the lost turn was told is lost with it: the agent has heard what the one before it answered.
  const heard = await tenant(orgId, async (tx) => {
    await holdThread(tx, orgId, threadId);
    return tx.queryRow<{ heard_seq: number }>`
      with lost as (
        update turns set letta_lacks = null where org_id = ${orgId} and id = ${last.id}
        returning org_id, thread_id, agent_version_id, branch, message_seq)
      update agent_conversations c
      set heard_seq = coalesce((
        select max(b.message_seq) from turns b
        where (b.org_id, b.thread_id, b.agent_version_id, b.branch) = (lost.org_id, lost.thread_id, lost.agent_version_id, lost.branch)
          and b.message_seq < lost.message_seq and b.state = 'completed' and b.letta_lacks = 0 and b.joined_at is null), 0)
      from lost
      where (c.org_id, c.thread_id, c.agent_version_id, c.branch) = (lost.org_id, lost.thread_id, lost.agent_version_id, lost.branch)
      returning c.heard_seq`;
  });
  return heard ? new Forgotten(conversationId, heard.heard_seq) : null;
}
