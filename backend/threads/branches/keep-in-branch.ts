import type { Tx } from "../../db/tenant";
import type { LogEntry } from "../../lib/events";

/**
 * The last words of a turn that was asked in another branch than the thread is on by now: they join that branch and not this one. Run it
 * under the thread's lock, in the transaction that appends them.
 */
export async function keepInBranch(
  tx: Tx,
  orgId: string,
  threadId: string,
  branch: number,
  entries: LogEntry[],
): Promise<void> {
  const first = entries[0]?.seq;
  const last = entries.at(-1)?.seq;
  if (first === undefined || last === undefined) return;
  await tx.exec`
    update thread_branches b
    set visible = case when b.branch = ${branch}::int then b.visible + words else b.visible - words end
    from int8multirange(int8range(${first}::bigint, ${last}::bigint, '[]')) words
    where b.org_id = ${orgId} and b.thread_id = ${threadId}
      and (b.branch = ${branch}::int or b.branch = (select t.branch from threads t where t.org_id = ${orgId} and t.id = ${threadId}))`;
}
