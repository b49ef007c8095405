import type { Task } from "graphile-worker";
import { tenant } from "../db/tenant";

/** Messages in one transaction: each is one more for the vectors' index to take in. */
const BATCH = 200;

/**
 * Gives copied messages the embeddings of the messages they were copied from, so that nothing is embedded twice. What its origin lacks, or
 * whose origin was erased, is embedded by a job of its own. Repeating it changes nothing.
 */
export const copyEmbeddings: Task = async (payload) => {
  const { org_id, thread_id, after, up_to } = payload as {
    org_id: string;
    thread_id: string;
    after: number;
    up_to: number;
  };
  for (let at = after; at < up_to; at += BATCH) {
    const to = Math.min(at + BATCH, up_to);
    await tenant(org_id, async (tx) => {
      await tx.exec`
        insert into message_embeddings (org_id, message_id, embedding)
        select m.org_id, m.id, e.embedding
        from messages m join message_embeddings e on e.org_id = m.org_id and e.message_id = m.origin->>'message_id'
        where m.org_id = ${org_id} and m.thread_id = ${thread_id} and m.seq > ${at} and m.seq <= ${to}
        on conflict (org_id, message_id) do nothing`;
      await tx.exec`
        select enqueue_job('embed_message', jsonb_build_object('message_id', m.id))
        from messages m
        where m.org_id = ${org_id} and m.thread_id = ${thread_id} and m.seq > ${at} and m.seq <= ${to} and m.sender_type <> 'system'
          and not exists (select from message_embeddings e where e.org_id = m.org_id and e.message_id = m.id)`;
    });
  }
};
