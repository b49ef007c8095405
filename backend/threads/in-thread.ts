import { actForGuest, seenBy, type Tx, type Viewer } from "../db/tenant";
import { hasContext, inContext, notFound } from "../lib/errors";
import { isId } from "../lib/ids";
import { lockThread, readThread, type ThreadContext } from "./thread-context";

/**
 * Runs `work` on one thread in a tenant transaction. Whatever it throws leaves with the conversation's context attached; a thread that
 * is not there, or not the organization's, or not a guest's, is the same answer. Of a guest the database is asked first whether they see it.
 */
export async function inThread<T>(who: Viewer, threadId: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  return lookInThread(who, threadId, async (tx) => {
    if (who.role === "guest") {
      const seen = await tx.queryRow`select 1 as here from threads where org_id = ${who.orgID} and id = ${threadId}`;
      if (!seen) throw notFound("thread");
      await actForGuest(tx);
    }
    return work(tx);
  });
}

/** The same for what only reads: a guest's `work` sees with the guest's own rights. */
export async function lookInThread<T>(who: Viewer, threadId: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  if (!isId("thread", threadId)) throw notFound("thread");
  try {
    return await seenBy(who, work);
  } catch (error) {
    if (hasContext(error)) throw error;
    throw inContext(error, await contextAfterError(who, threadId));
  }
}

/** The conversation as it stands after the failed transaction was rolled back; null if even that cannot be read. */
export async function contextAfterError(who: Viewer, threadId: string): Promise<ThreadContext | null> {
  try {
    const state = await seenBy(who, (tx) => readThread(tx, who.orgID, threadId));
    return state?.context ?? null;
  } catch {
    return null; // the first error is the one to tell
  }
}

/** The thread, or the one answer for "not there". */
export async function requireThread(tx: Tx, orgId: string, threadId: string) {
  const state = await readThread(tx, orgId, threadId);
  if (!state) throw notFound("thread");
  return state;
}

/** The thread, locked against all other writers of it; or the one answer for "not there". */
export async function requireLockedThread(tx: Tx, orgId: string, threadId: string) {
  const state = await lockThread(tx, orgId, threadId);
  if (!state) throw notFound("thread");
  return state;
}
