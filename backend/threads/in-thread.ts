import { type Tx, tenant } from "../db/tenant";
import { hasContext, inContext, notFound } from "../lib/errors";
import { isId } from "../lib/ids";
import { lockThread, readThread, type ThreadContext } from "./thread-context";

/**
 * Runs `work` on one thread in a tenant transaction. Whatever it throws leaves with the conversation's context attached; a thread that
 * is not there, or not the organization's, is the same answer.
 */
export async function inThread<T>(orgId: string, threadId: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  if (!isId("thread", threadId)) throw notFound("thread");
  try {
    return await tenant(orgId, work);
  } catch (error) {
    if (hasContext(error)) throw error;
    throw inContext(error, await contextAfterError(orgId, threadId));
  }
}

/** The conversation as it stands after the failed transaction was rolled back; null if even that cannot be read. */
export async function contextAfterError(orgId: string, threadId: string): Promise<ThreadContext | null> {
  try {
    const state = await tenant(orgId, (tx) => readThread(tx, orgId, threadId));
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
