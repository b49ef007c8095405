import { api, type Header } from "encore.dev/api";
import type { MaxLen, Min, MinLen } from "encore.dev/validate";
import { caller } from "../../organizations/caller";
import { auditThread, changedSeats } from "../audit-thread";
import type { ThreadContext } from "../thread-context";
import { type Thread, threadView } from "../thread-view";
import { changeThread } from "./change-thread";
import { forkMemory, remembering } from "./fork-memory";
import { newThreadFrom } from "./new-thread-from";
import { requireSeq, saidAfter } from "./rewind-thread";

interface ForkThreadRequest {
  id: string;
  /** The last entry of the thread that the fork has; all of it without this. */
  at_seq?: number & Min<0>;
  /** The thread's own without it. */
  title?: string & MinLen<1> & MaxLen<500>;
  /** A retry with the same key and body gets the first answer again and makes nothing. Up to 255 characters. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface ForkThreadResponse {
  thread: Thread;
  /** Of the new thread. */
  context: ThreadContext;
  /** Of the thread it was forked from, which stays as it is. */
  parent_context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/**
 * Makes a second thread of the conversation so far: its settings, participants and messages. Its agents remember what the fork holds: at
 * the thread's end all that they remember of it, at an earlier place what is said up to there. At most 5000 messages.
 */
export const forkThread = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/fork" },
  async ({ id, at_seq, title, idempotency_key }: ForkThreadRequest): Promise<ForkThreadResponse> => {
    const who = caller();
    const { orgID } = who;
    const request = ["POST /threads/:id/fork", id, at_seq ?? null, title ?? null];
    return changeThread(who, { threadId: id, key: idempotency_key, request }, async (tx, source, afterwards) => {
      const upTo = at_seq ?? source.context.last_seq;
      requireSeq(source, "at_seq", upTo);
      const made = await newThreadFrom(tx, { who, source, title, relation: "forked_from", after: 0, upTo });
      const isWhole = !(await saidAfter(tx, orgID, source, upTo));
      const agents = isWhole ? await remembering(tx, orgID, source) : [];
      afterwards.later.push(() => forkMemory({ orgId: orgID, sourceId: id, made, agents }));
      const { context } = made.state;
      const thread = await threadView(tx, orgID, context.thread.id);
      if (!thread) throw new Error("the thread is not there after it was made");
      const participants = changedSeats([], context.participants);
      await auditThread(tx, who, context.thread.id, "thread.created", { forked_from: id, participants });
      return { thread, context, parent_context: source.context };
    });
  },
);
