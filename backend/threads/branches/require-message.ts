import { ErrCode } from "encore.dev/api";
import type { Tx } from "../../db/tenant";
import { notFound, problem } from "../../lib/errors";
import type { Message } from "../../lib/events";
import { isId } from "../../lib/ids";
import type { ThreadState } from "../thread-context";

type MessageRow = Omit<Message, "created_at" | "thread_id"> & { created_at: Date; is_visible: boolean };

/** A message of the thread's conversation. One of another branch is refused: that branch is restored first. */
export async function requireMessage(tx: Tx, orgId: string, state: ThreadState, messageId: string): Promise<Message> {
  if (!isId("msg", messageId)) throw notFound("message");
  const { id, branch } = state.context.thread;
  const row = await tx.queryRow<MessageRow>`
    select m.id, m.seq, m.sender_type, m.sender_id, m.sender_name, m.content, m.status, m.turn_id, m.mentions, m.reason, m.branch,
      m.origin, m.created_at,
      exists (select from branch_spans(${orgId}, ${id}, ${branch}::int) s where m.seq between s.lo and s.hi) as is_visible
    from messages m where m.org_id = ${orgId} and m.thread_id = ${id} and m.id = ${messageId}`;
  if (!row) throw notFound("message");
  const { is_visible, created_at, ...message } = row;
  if (!is_visible) {
    throw problem(
      ErrCode.FailedPrecondition,
      "message_not_in_branch",
      `This message is no longer part of the conversation, which is on branch ${branch}.`,
      `Restore a branch that has it: POST /threads/:id/branches/${message.branch}/restore.`,
      { branch: message.branch },
    );
  }
  return { ...message, thread_id: id, created_at: created_at.toISOString() };
}
