import { api, type Header } from "encore.dev/api";
import type { MaxLen, Min, MinLen } from "encore.dev/validate";
import { invalid } from "../../lib/errors";
import { caller } from "../../organizations/caller";
import { auditThread, changedSeats } from "../audit-thread";
import { requireThread } from "../in-thread";
import { appendLog } from "../log";
import type { ThreadContext } from "../thread-context";
import { type Thread, threadView } from "../thread-view";
import { prepareConversations } from "../turns/conversation";
import { beginBranch } from "./begin-branch";
import { changeThread } from "./change-thread";
import { newThreadFrom } from "./new-thread-from";
import { requireSeq, saidAfter } from "./rewind-thread";

interface SplitThreadRequest {
  id: string;
  /** The last entry that stays; the messages after it move. */
  at_seq: number & Min<0>;
  /** Of the new thread; this thread's own without it. */
  title?: string & MinLen<1> & MaxLen<500>;
  /** A retry with the same key and body gets the first answer again and makes nothing. Up to 255 characters. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface SplitThreadResponse {
  thread: Thread;
  /** Of the new thread. */
  context: ThreadContext;
  /** Of the thread it was split from, as it is now. */
  parent_context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/**
 * Moves the messages after `at_seq` into a new thread with the same settings and participants. Here they stay readable in the branch that
 * is left; what agents were about to say is cancelled. At most 5000 messages.
 */
export const splitThread = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/split" },
  async ({ id, at_seq, title, idempotency_key }: SplitThreadRequest): Promise<SplitThreadResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const request = ["POST /threads/:id/split", id, at_seq, title ?? null];
    return changeThread(who, { threadId: id, key: idempotency_key, request }, async (tx, source, afterwards) => {
      requireSeq(source, "at_seq", at_seq);
      if (!(await saidAfter(tx, orgID, source, at_seq))) throw nothingToSplit();
      const { last_seq } = source.context;
      const part = { relation: "split_from" as const, after: at_seq, upTo: last_seq };
      const { state } = await newThreadFrom(tx, { who, source, title, ...part });
      const { context } = state;
      const switched = await beginBranch(
        tx,
        { orgId: orgID, threadId: id, state: source, by: userID },
        { action: "split", toSeq: at_seq },
      );
      const linked = await appendLog(tx, orgID, id, [
        {
          type: "thread_linked",
          relation: "split_to",
          related_thread_id: context.thread.id,
          related_seq: context.last_seq,
          linked_by: userID,
        },
      ]);
      afterwards.entries.set(id, [...switched.entries, ...linked]);
      afterwards.cancelling.set(id, switched.cancelling);
      afterwards.later.push(async () => prepareConversations(orgID, context.thread.id, state.agents));
      const thread = await threadView(tx, orgID, context.thread.id);
      if (!thread) throw new Error("the thread is not there after it was made");
      const participants = changedSeats([], context.participants);
      await auditThread(tx, who, context.thread.id, "thread.created", { split_from: id, participants });
      return { thread, context, parent_context: (await requireThread(tx, orgID, id)).context };
    });
  },
);

function nothingToSplit() {
  return invalid(
    "nothing_to_split",
    "at_seq: no message of the conversation comes after it.",
    "Give the seq of an earlier message of the conversation.",
  );
}
