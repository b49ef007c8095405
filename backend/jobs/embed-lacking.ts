/** Messages that lack an embedding, many in one request: those of a copied thread (copy-embeddings.ts) and of an archive (embed-imported.ts). */
import type { Tx } from "../db/tenant";
import { toVector } from "../lib/embeddings";
import { embedTexts } from "../models/requests/embed";

const EMBED_MS_MAX = 30_000;

export interface Embedded {
  id: string;
  /** As PostgreSQL reads a vector. */
  embedding: string;
}

/** Asks for the embeddings of these messages. For the accounting: see `embedTexts`. */
export async function embedMessages(
  orgId: string,
  messages: readonly { id: string; content: string }[],
  payer?: "operator",
): Promise<Embedded[]> {
  if (messages.length === 0) return [];
  const texts = messages.map(({ content }) => content);
  const vectors = await embedTexts(orgId, texts, EMBED_MS_MAX, payer);
  return messages.map(({ id }, index) => ({ id, embedding: toVector(vectors[index] ?? []) }));
}

/** Stores them where there is none. Locked against whoever erases a message meanwhile, as in embed-message.ts. */
export async function storeEmbeddings(tx: Tx, orgId: string, rows: readonly Embedded[]): Promise<void> {
  // One by one by their ids, whatever the statistics of messages that just came say.
  await tx.exec`
    insert into message_embeddings (org_id, message_id, embedding)
    select m.org_id, m.id, r.embedding::vector
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r(id text, embedding text)
      cross join lateral (
        select org_id, id from messages where org_id = ${orgId} and id = r.id and status <> 'erased' limit 1 for share) m
    on conflict (org_id, message_id) do nothing`;
}
