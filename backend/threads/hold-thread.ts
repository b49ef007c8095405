import type { Tx } from "../db/tenant";

/**
 * Takes the lock of a thread's row, which every writer of the thread takes before anything else; false when there is no such thread. Who
 * must know the thread besides reads it with the lock, in one statement: `lockThread` (thread-context.ts).
 */
export async function holdThread(tx: Tx, orgId: string, threadId: string): Promise<boolean> {
  const row = await tx.queryRow`select 1 as here from threads where org_id = ${orgId} and id = ${threadId} for update`;
  return row !== null;
}
