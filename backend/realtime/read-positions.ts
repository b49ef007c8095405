import { ErrCode } from "encore.dev/api";
import type { Tx } from "../db/tenant";
import { invalid, problem } from "../lib/errors";
import { requireThread } from "../threads/in-thread";
import type { ReadPosition } from "./protocol";

/** Positions shown of one thread: its participants', and those who left or only read. */
const POSITIONS_MAX = 1_000;

/** Moves a person's position forward; answers with the one that holds, which is never behind an earlier one. */
export async function moveReadPosition(
  tx: Tx,
  orgId: string,
  { threadId, userId, seq }: { threadId: string; userId: string; seq: number },
): Promise<number> {
  const { context } = await requireThread(tx, orgId, threadId);
  if (!context.participants.some((p) => p.user_id === userId)) {
    throw problem(
      ErrCode.PermissionDenied,
      "not_a_participant",
      "A thread keeps read positions of those who take part in it.",
      'Have them added: POST /threads/:id/participants {"people": ["<user id>"]}.',
    );
  }
  if (seq > context.last_seq) {
    throw invalid(
      "bad_seq",
      `seq: this thread has ${context.last_seq} entries; ${seq} is none of them.`,
      "Send the seq of an entry you were shown.",
      { last_seq: context.last_seq },
    );
  }
  const row = await tx.queryRow<{ seq: number }>`
    insert into read_positions as r (org_id, thread_id, user_id, seq) values (${orgId}, ${threadId}, ${userId}, ${seq})
    on conflict (org_id, thread_id, user_id) do update set
      seq = greatest(r.seq, excluded.seq),
      updated_at = case when excluded.seq > r.seq then now() else r.updated_at end
    returning seq`;
  return row?.seq ?? seq;
}

/** Everybody's position in some threads. */
export async function readPositions(
  tx: Tx,
  orgId: string,
  threadIds: string[],
): Promise<(ReadPosition & { thread_id: string })[]> {
  return tx.queryAll<ReadPosition & { thread_id: string }>`
    select thread_id, user_id, seq from read_positions
    where org_id = ${orgId} and thread_id = any(${threadIds}::text[])
    order by thread_id, updated_at desc limit ${POSITIONS_MAX * threadIds.length}`;
}
