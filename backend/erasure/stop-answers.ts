import { tenant } from "../db/tenant";
import { holdThread } from "../threads/hold-thread";
import { finishCancelling, NOTHING_CANCELLED, requestCancel } from "../threads/turns/cancel";
import type { Erasure } from "./erasure";

/**
 * Stops what agents are about to answer: to a person, or to anybody with null. Throws while a turn still runs, so that the step is done
 * again: what it said would be written after its words were looked for.
 */
export async function stopAnswers(erasure: Erasure, personId: string | null): Promise<void> {
  const { org_id: orgId, requested_by: by } = erasure;
  const live = () =>
    tenant(
      orgId,
      (tx) => tx.queryAll<{ id: string; thread_id: string }>`
        select t.id, t.thread_id from turns t join messages m on (m.org_id, m.thread_id, m.seq) = (t.org_id, t.thread_id, t.exchange)
        where t.org_id = ${orgId} and t.state in ('queued', 'running')
          and (${personId}::text is null or m.sender_id = ${personId}::text)`,
    );
  const found = await live();
  for (const threadId of new Set(found.map(({ thread_id }) => thread_id))) {
    const ids = found.filter(({ thread_id }) => thread_id === threadId).map(({ id }) => id);
    const cancelling = await tenant(orgId, async (tx) => {
      if (!(await holdThread(tx, orgId, threadId))) return NOTHING_CANCELLED;
      return requestCancel(tx, orgId, threadId, ids, { by, reason: "asked" });
    });
    await finishCancelling(orgId, threadId, cancelling);
  }
  if (found.length > 0 && (await live()).length > 0) throw new Error("an answer is still being given");
}
