import { tenant } from "../db/tenant";
import { holdThread } from "../threads/hold-thread";
import { finishCancelling, NOTHING_CANCELLED, requestCancel } from "../threads/turns/cancel";
import type { Erasure } from "./erasure";

/**
 * Milliseconds after the request for which its subject may still act, in whichever process: an API key is trusted for 2 s
 * (organizations/authenticate.ts) and a session for 5 s (organizations/clerk/session.ts) without asking; and what they had begun then is done.
 */
const LOCKED_OUT_MS = 7_000;

/**
 * Waits until nothing new can come of whoever is erased: what they wrote after it was looked for would stay for good.
 */
async function lockedOut({ org_id: orgId, id }: Erasure): Promise<void> {
  const row = await tenant(
    orgId,
    (tx) => tx.queryRow<{ ms: number }>`
      select ${LOCKED_OUT_MS}::int - (extract(epoch from clock_timestamp() - requested_at) * 1000)::int as ms
      from erasures where org_id = ${orgId} and id = ${id}`,
  );
  if (row && row.ms > 0) await new Promise((resolve) => setTimeout(resolve, row.ms));
}

/**
 * Stops what agents are about to answer: to a person, or to anybody with null. Throws while a turn still runs, so that the step is done
 * again: what it said would be written after its words were looked for.
 */
export async function stopAnswers(erasure: Erasure, personId: string | null): Promise<void> {
  const { org_id: orgId, requested_by: by } = erasure;
  await lockedOut(erasure);
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
