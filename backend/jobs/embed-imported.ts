import type { Task } from "graphile-worker";
import { tenant } from "../db/tenant";
import { embeddingsConfigured } from "../lib/embeddings";
import { embedMessages, storeEmbeddings } from "./embed-lacking";

/** Messages in one job, and so in one request and one transaction: others' jobs come in between. */
const BATCH = 50;

/**
 * Embeds the messages of an organization that came from an archive, a batch a job, in the order of their ids. It was accounted to the
 * organization when they were said: this time the operator pays, who took them in, and the ledger stays as it was archived. Repeating it
 * changes nothing.
 */
export const embedImported: Task = async (payload) => {
  if (!embeddingsConfigured()) return; // enqueued when there was an endpoint
  const { org_id, after } = payload as { org_id: string; after: string };
  const batch = await tenant(
    org_id,
    (tx) => tx.queryAll<{ id: string; content: string; lacking: boolean }>`
      select m.id, m.content, m.sender_type <> 'system' and m.content <> ''
        and not exists (select from message_embeddings e where e.org_id = m.org_id and e.message_id = m.id) as lacking
      from messages m where m.org_id = ${org_id} and m.id > ${after} order by m.id limit ${BATCH}`,
  );
  const last = batch.at(-1);
  if (!last) return;
  const lacking = batch.filter((message) => message.lacking);
  const rows = await embedMessages(org_id, lacking, "operator");
  await tenant(org_id, async (tx) => {
    await storeEmbeddings(tx, org_id, rows);
    await tx.exec`select enqueue_job('embed_imported', jsonb_build_object('after', ${last.id}::text))`;
  });
};
