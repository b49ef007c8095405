import { api, type Header } from "encore.dev/api";
import type { MaxLen } from "encore.dev/validate";
import type { Tx } from "../../db/tenant";
import { invalid, notFound } from "../../lib/errors";
import type { LogEntry } from "../../lib/events";
import { isId } from "../../lib/ids";
import { caller } from "../../organizations/caller";
import { auditThread, changedSeats } from "../audit-thread";
import { requireLockedThread, requireThread } from "../in-thread";
import { joinThread } from "../join-thread";
import { appendLog, readLog } from "../log";
import { refuseArchived } from "../refuse-message";
import { requireMay, requireMayBring } from "../roles";
import type { ThreadContext, ThreadState } from "../thread-context";
import { liveTurns, requestCancel } from "../turns/cancel";
import { prepareConversations } from "../turns/conversation";
import { changeThread } from "./change-thread";
import { copyMessages } from "./copy-messages";

const PAGE_ENTRIES = 500;

interface MergeThreadRequest {
  id: string;
  /** The thread whose conversation is added to this one's end; it is archived. */
  from_thread_id: string & MaxLen<64>;
  /** A retry with the same key and body gets the first answer again and changes nothing. Up to 255 characters. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface MergeThreadResponse {
  /** Messages that were added. */
  merged_messages: number;
  /** The entries of this thread's log that the call appended. */
  first_seq: number;
  last_seq: number;
  context: ThreadContext;
  /** Of the other thread, archived. */
  from_context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/**
 * Adds another thread's conversation to the end of this one: its messages, each with where and when it was said, and its participants. The
 * other thread is archived and says where it went. This thread's agents hear of it with their next turn. At most 5000 messages.
 */
export const mergeThread = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/merge" },
  async ({ id, from_thread_id: fromId, idempotency_key }: MergeThreadRequest): Promise<MergeThreadResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const request = ["POST /threads/:id/merge", id, fromId];
    const target = { threadId: id, otherThreadId: fromId, key: idempotency_key, request };
    if (!isId("thread", fromId)) throw notFound("thread");
    return changeThread(who, target, async (tx, state, afterwards) => {
      if (fromId === id) throw withItself();
      const from = await requireLockedThread(tx, orgID, fromId);
      refuseArchived(from);
      requireMay(from, who, "archive");
      const people = from.context.participants.flatMap((p) => p.user_id ?? []);
      await requireMayBring(tx, state, who, people);
      const before = state.context.last_seq;
      const upTo = from.context.last_seq;

      await joinAll(tx, orgID, state, from);
      await appendLog(tx, orgID, id, [
        {
          type: "thread_linked",
          relation: "merged_from",
          related_thread_id: fromId,
          related_seq: upTo,
          linked_by: userID,
        },
      ]);
      const { branch } = from.context.thread;
      const copy = { orgId: orgID, from: { threadId: fromId, branch, after: 0, upTo }, to: id };
      const merged_messages = await copyMessages(tx, copy);

      const live = await liveTurns(tx, orgID, fromId);
      const cancelling = await requestCancel(tx, orgID, fromId, live, { by: userID, reason: "archived" });
      await tx.exec`update threads set state = 'archived' where org_id = ${orgID} and id = ${fromId}`;
      const merged = await requireThread(tx, orgID, id);
      const { last_seq } = merged.context;
      const left = await appendLog(tx, orgID, fromId, [
        {
          type: "thread_linked",
          relation: "merged_to",
          related_thread_id: id,
          related_seq: last_seq,
          linked_by: userID,
        },
      ]);
      afterwards.entries.set(id, await entriesAfter(tx, orgID, id, before));
      afterwards.entries.set(fromId, [...cancelling.entries, ...left]);
      afterwards.cancelling.set(fromId, cancelling);
      afterwards.later.push(async () => prepareConversations(orgID, id, merged.agents));
      const participants = changedSeats(state.context.participants, merged.context.participants);
      if (participants.length > 0)
        await auditThread(tx, who, id, "thread.participants_added", { merged_from: fromId, participants });
      await auditThread(tx, who, fromId, "thread.archived", { merged_to: id });
      return {
        merged_messages,
        first_seq: before + 1,
        last_seq,
        context: merged.context,
        from_context: (await requireThread(tx, orgID, fromId)).context,
      };
    });
  },
);

/** Who takes part in the other thread takes part here: as a listener who was one there, else as a speaker. */
async function joinAll(tx: Tx, orgId: string, state: ThreadState, from: ThreadState): Promise<void> {
  for (const role of ["speaker", "listener"] as const) {
    const coming = from.context.participants.filter((p) => (p.role === "listener") === (role === "listener"));
    const people = coming.flatMap((p) => (p.user_id === null ? [] : [p.user_id]));
    const agents = coming.flatMap((p) => (p.agent_id === null ? [] : [p.agent_id]));
    await joinThread(tx, orgId, state.context.thread.id, { people, agents, role });
  }
}

/** What the call appended, for the readers: as many messages as one call copies at most. */
async function entriesAfter(tx: Tx, orgId: string, threadId: string, seq: number): Promise<LogEntry[]> {
  const all: LogEntry[] = [];
  for (let at = seq; ; at = all.at(-1)?.seq ?? at) {
    const { entries, full } = await readLog(tx, orgId, threadId, at, PAGE_ENTRIES);
    all.push(...entries);
    if (!full || entries.length === 0) return all;
  }
}

function withItself() {
  return invalid("merge_with_itself", "from_thread_id: this is the thread itself.", "Name another thread.");
}
