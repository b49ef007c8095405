import { api, type Header } from "encore.dev/api";
import type { MaxLen, MinLen } from "encore.dev/validate";
import type { Tx } from "../db/tenant";
import { notFound } from "../lib/errors";
import { eraseAnswers, finishOnce, marked, type Once, runOnce } from "../lib/idempotency";
import type { Caller } from "../organizations/authenticate";
import { adminCaller, caller } from "../organizations/caller";
import { auditThread } from "./audit-thread";
import { inThread, lookInThread, requireLockedThread, requireThread } from "./in-thread";
import { closeErased } from "./live/channels";
import { requireMay } from "./roles";
import type { ThreadContext } from "./thread-context";
import { anySetting, changeSettings } from "./thread-settings";
import { type Thread, threadView } from "./thread-view";
import { finishCancelling, liveTurns, NOTHING_CANCELLED, requestCancel } from "./turns/cancel";
import type { WhenBusy } from "./turns/when-busy";

interface ThreadResponse {
  thread: Thread;
  context: ThreadContext;
}

/** One thread, with its conversation's context. */
export const getThread = api(
  { expose: true, auth: true, method: "GET", path: "/threads/:id" },
  async ({ id }: { id: string }): Promise<ThreadResponse> => {
    const who = caller();
    const { orgID } = who;
    return lookInThread(who, id, async (tx) => {
      const thread = await threadView(tx, orgID, id);
      if (!thread) throw notFound("thread");
      const { context } = await requireThread(tx, orgID, id);
      return { thread, context };
    });
  },
);

interface UpdateThreadRequest {
  id: string;
  title?: string & MinLen<1> & MaxLen<500>;
  /** `active` brings an archived thread back. */
  state?: "active" | "archived";
  /**
   * Which agents answer a message: `all` (default), only those `mentioned`, one after the other (`round_robin`), or one `coordinator`. In
   * every policy an agent that addresses another with @Name hands it the word.
   */
  turn_policy?: "all" | "mentioned" | "round_robin" | "coordinator";
  /** The agent that answers everything with the policy `coordinator`: one of the thread's agents. */
  coordinator_id?: string & MaxLen<64>;
  /** How far agents may go on among themselves after one message of a person; what is left out stays as it is. */
  exchange_limits?: {
    /** How often the word goes from agent to agent in a row: 0 to 64, 8 by default. */
    hops?: number;
    /** Answers, those to the person included: 0 to 256, 32 by default. */
    turns?: number;
    /** Tokens of prompts and answers together: 0 to 10 000 000, 200 000 by default. */
    tokens?: number;
  };
  /** What a message does at an agent that is still answering, unless the message says otherwise. */
  when_busy?: WhenBusy;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface UpdateThreadResponse extends ThreadResponse {
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Changes a thread's title, who answers in it and what a message does at a busy agent, or archives it, which stops its agents, and brings it back. */
export const updateThread = api(
  { expose: true, auth: true, method: "PATCH", path: "/threads/:id" },
  async ({ id, idempotency_key: key, ...changes }: UpdateThreadRequest): Promise<UpdateThreadResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const request = ["PATCH /threads/:id", id, changes];
    const once = { orgId: orgID, caller: userID, key, request, threadId: id };
    return marked(
      await changeThread<ThreadResponse>(who, id, changes, once, async (tx) => {
        const thread = await threadView(tx, orgID, id);
        if (!thread) throw notFound("thread");
        const { context } = await requireThread(tx, orgID, id);
        return { thread, context };
      }),
    );
  },
);

/**
 * Archiving and cancelling are one transaction under the thread's lock: what was said before is cancelled, and what comes after is
 * refused, so no message of an archived thread is answered. `after` answers once all has ended, in a transaction of its own.
 */
async function changeThread<T extends object>(
  who: Caller,
  threadId: string,
  { title, state, when_busy, ...settings }: Omit<UpdateThreadRequest, "id" | "idempotency_key">,
  once: Once,
  after: (tx: Tx) => Promise<T>,
) {
  const { orgID: orgId, userID } = who;
  let cancelling = NOTHING_CANCELLED;
  // Stored at first: that it was done. A retry that comes before the answer is known gives the answer.
  const { answer, replayed } = await inThread(who, threadId, (tx) =>
    runOnce<{ answer?: T }>(tx, once, async () => {
      const locked = await requireLockedThread(tx, orgId, threadId);
      const isSettings = title !== undefined || when_busy !== undefined || anySetting(settings);
      if (isSettings || state === undefined) requireMay(locked, who, "change_settings");
      if (state !== undefined) requireMay(locked, who, "archive");
      if (anySetting(settings)) await changeSettings(tx, orgId, locked, settings);
      await tx.exec`
        update threads
        set title = coalesce(${title ?? null}, title), state = coalesce(${state ?? null}, state),
          when_busy = coalesce(${when_busy ?? null}, when_busy), updated_at = now()
        where org_id = ${orgId} and id = ${threadId}`;
      if (state === "archived") {
        const live = await liveTurns(tx, orgId, threadId);
        cancelling = await requestCancel(tx, orgId, threadId, live, { by: userID, reason: "archived" });
      }
      await auditChanges(tx, who, locked.context.thread, { title, state, when_busy, ...settings });
      return {};
    }),
  );
  if (answer.answer) return { answer: answer.answer, replayed };
  await finishCancelling(orgId, threadId, cancelling);
  const given = await inThread(who, threadId, (tx) => finishOnce(tx, once, () => after(tx)));
  return { answer: given, replayed };
}

async function auditChanges(
  tx: Tx,
  who: Caller,
  before: ThreadContext["thread"],
  { title, state, ...settings }: Omit<UpdateThreadRequest, "id" | "idempotency_key">,
): Promise<void> {
  const isChanged = Object.values(settings).some((value) => value !== undefined);
  if (title !== undefined || isChanged) {
    const { exchange_limits, ...rest } = settings;
    const change = { ...rest, ...(exchange_limits && { exchange_limits: { ...exchange_limits } }) };
    await auditThread(tx, who, before.id, "thread.changed", {
      ...change,
      ...(title !== undefined && { changed: ["title"] }),
    });
  }
  if (state === undefined || state === before.state) return;
  await auditThread(tx, who, before.id, state === "archived" ? "thread.archived" : "thread.unarchived");
}

interface DeleteThreadRequest {
  id: string;
  /** Erases the thread with everything in it, for good. Only for owners and admins. */
  purge?: boolean;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface DeleteThreadResponse {
  id: string;
  outcome: "archived" | "purged";
  /** The conversation as it was left; null once it is erased. */
  context: ThreadContext | null;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Archives a thread: it takes no more messages and can be brought back. With `purge` it is erased. */
export const deleteThread = api(
  { expose: true, auth: true, method: "DELETE", path: "/threads/:id" },
  async ({ id, purge = false, idempotency_key: key }: DeleteThreadRequest): Promise<DeleteThreadResponse> => {
    const who = purge ? adminCaller() : caller();
    const { orgID, userID } = who;
    const request = ["DELETE /threads/:id", id, purge];
    // The answer of a purge says nothing of the thread, and outlives it.
    const once = { orgId: orgID, caller: userID, key, request, ...(purge ? {} : { threadId: id }) };
    // Archived also before erasing: nothing new may begin meanwhile.
    const done = await changeThread<DeleteThreadResponse>(who, id, { state: "archived" }, once, async (tx) => {
      if (purge) {
        await eraseThread(tx, orgID, id);
        await auditThread(tx, who, id, "thread.deleted");
        return { id, outcome: "purged", context: null };
      }
      const { context } = await requireThread(tx, orgID, id);
      return { id, outcome: "archived", context };
    });
    if (purge) closeErased(orgID, id);
    return marked(done);
  },
);

/** Deletes a thread with all that hangs on it: also the answers kept for retries, which quote its messages. */
async function eraseThread(tx: Tx, orgId: string, threadId: string): Promise<void> {
  await requireLockedThread(tx, orgId, threadId);
  await eraseAnswers(tx, orgId, threadId);
  // Letta's conversations of the thread are erased by a job that this transaction enqueues: neither side keeps what the other lost.
  await tx.exec`
    select enqueue_job('forget_conversation', jsonb_build_object('letta_conversation_id', letta_conversation_id))
    from agent_conversations where org_id = ${orgId} and thread_id = ${threadId}`;
  // A turn that could not be stopped in time ends here, so that what was set aside for it is given back.
  await tx.exec`
    update turns set state = 'cancelled', ended_at = now(), cancel_reason = 'archived'
    where org_id = ${orgId} and thread_id = ${threadId} and state in ('queued', 'running')`;
  await tx.exec`delete from limits where org_id = ${orgId} and scope = 'thread' and scope_id = ${threadId}`;
  await tx.exec`delete from threads where org_id = ${orgId} and id = ${threadId}`;
}
