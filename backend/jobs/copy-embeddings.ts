import type { Task } from "graphile-worker";
import { tenant } from "../db/tenant";
import { embeddingsConfigured } from "../lib/embeddings";
import { embedMessages, storeEmbeddings } from "./embed-lacking";

/** Messages in one transaction and one request: each is one more for the vectors' index to take in. */
const BATCH = 50;

/**
 * Gives copied messages the embeddings of the messages they were copied from, so that nothing is embedded twice. Those whose origin has
 * none are embedded here, many in one request: a job for each would keep the queue from everybody else. Repeating it changes nothing.
 * What is erased meanwhile gets none: as embed-message.ts.
 */
export const copyEmbeddings: Task = async (payload) => {
  if (!embeddingsConfigured()) return; // enqueued when there was an endpoint
  const { org_id, thread_id, after, up_to } = payload as {
    org_id: string;
    thread_id: string;
    after: number;
    up_to: number;
  };
  for (let at = after; at < up_to; at += BATCH) {
    const to = Math.min(at + BATCH, up_to);
    const lacking = await tenant(org_id, async (tx) => {
      await tx.exec`
        insert into message_embeddings (org_id, message_id, embedding)
        select m.org_id, m.id, e.embedding
        from messages m cross join lateral (
          select embedding from message_embeddings e where e.org_id = m.org_id and e.message_id = m.origin->>'message_id' limit 1) e
        where m.org_id = ${org_id} and m.thread_id = ${thread_id} and m.seq > ${at} and m.seq <= ${to} and m.status <> 'erased'
        for share of m
        on conflict (org_id, message_id) do nothing`;
      return tx.queryAll<{ id: string; content: string }>`
        select m.id, m.content from messages m
        where m.org_id = ${org_id} and m.thread_id = ${thread_id} and m.seq > ${at} and m.seq <= ${to}
          and m.sender_type <> 'system' and m.content <> ''
          and not exists (select from message_embeddings e where e.org_id = m.org_id and e.message_id = m.id)
        order by m.seq`;
    });
    if (lacking.length === 0) continue;
    const rows = await embedMessages(org_id, lacking);
    await tenant(org_id, (tx) => storeEmbeddings(tx, org_id, rows));
  }
};
