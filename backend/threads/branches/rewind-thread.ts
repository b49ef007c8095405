import { api, type Header } from "encore.dev/api";
import type { Min } from "encore.dev/validate";
import type { Tx } from "../../db/tenant";
import { invalid } from "../../lib/errors";
import { caller } from "../../organizations/caller";
import { requireThread } from "../in-thread";
import type { ThreadContext, ThreadState } from "../thread-context";
import { beginBranch } from "./begin-branch";
import { type Branch, currentBranch } from "./branch-view";
import { changeThread } from "./change-thread";

interface RewindThreadRequest {
  id: string;
  /** The last entry that stays part of the conversation; 0 begins anew. */
  to_seq: number & Min<0>;
  /** A retry with the same key and body gets the first answer again. Up to 255 characters. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface BranchResponse {
  branch: Branch;
  context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/**
 * Takes the messages after `to_seq` out of the conversation, for people and agents alike: the thread goes on in a new branch, and the one
 * that was left can be read and restored. What agents were about to say is cancelled.
 */
export const rewindThread = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/rewind" },
  async ({ id, to_seq, idempotency_key }: RewindThreadRequest): Promise<BranchResponse> => {
    const who = caller();
    const { orgID } = who;
    const request = ["POST /threads/:id/rewind", id, to_seq];
    return changeThread(who, { threadId: id, key: idempotency_key, request }, async (tx, state, afterwards) => {
      requireSeq(state, "to_seq", to_seq);
      await requireMessagesAfter(tx, orgID, state, to_seq);
      const switched = await beginBranch(
        tx,
        { orgId: orgID, threadId: id, state, by: who.userID },
        { action: "rewind", toSeq: to_seq },
      );
      afterwards.entries.set(id, switched.entries);
      afterwards.cancelling.set(id, switched.cancelling);
      return { branch: await currentBranch(tx, orgID, id), context: (await requireThread(tx, orgID, id)).context };
    });
  },
);

/** Refuses a place that the log does not have. */
export function requireSeq(state: ThreadState, field: "to_seq" | "at_seq", seq: number): void {
  const last = state.context.last_seq;
  if (Number.isSafeInteger(seq) && seq >= 0 && seq <= last) return;
  throw invalid(
    "bad_seq",
    `${field}: the log of this thread goes from 1 to ${last}.`,
    "Take the seq of a message of this thread.",
    { last_seq: last },
  );
}

/** Refuses to rewind where nothing would change: neither a message nor an answer under way comes after. */
async function requireMessagesAfter(tx: Tx, orgId: string, state: ThreadState, seq: number): Promise<void> {
  if (state.context.running_turns.length > 0 || (await saidAfter(tx, orgId, state, seq))) return;
  throw invalid(
    "nothing_to_rewind",
    "to_seq: no message of the conversation comes after it.",
    "Give the seq of an earlier message of the conversation.",
  );
}

/** Whether a message of the conversation comes after this place. */
export async function saidAfter(tx: Tx, orgId: string, state: ThreadState, seq: number): Promise<boolean> {
  const { id, branch } = state.context.thread;
  const row = await tx.queryRow`
    select 1 as here from branch_spans(${orgId}, ${id}, ${branch}::int) s cross join lateral (
      select from messages m
      where m.org_id = ${orgId} and m.thread_id = ${id} and m.seq >= greatest(s.lo, ${seq}::bigint + 1) and m.seq <= s.hi
      order by m.seq limit 1) m
    limit 1`;
  return row !== null;
}
