import type { Task } from "graphile-worker";
import { tenant } from "../db/tenant";
import { embeddingsConfigured, toVector } from "../lib/embeddings";
import { embedTexts } from "../models/requests/embed";

const EMBED_MS_MAX = 30_000;

/** Embeds one message for the search by meaning. Repeating it changes nothing; a message that is gone or erased is no error. */
export const embedMessage: Task = async (payload) => {
  if (!embeddingsConfigured()) return; // enqueued when there was an endpoint
  const { org_id, message_id } = payload as { org_id: string; message_id: string };
  const message = await tenant(
    org_id,
    (tx) =>
      tx.queryRow<{ content: string }>`
        select content from messages where org_id = ${org_id} and id = ${message_id} and status <> 'erased'`,
  );
  if (!message) return;
  const [embedding] = await embedTexts(org_id, [message.content], EMBED_MS_MAX);
  if (!embedding) return;
  // Locked against whoever erases it meanwhile: either this sees that it is erased, or they see what this has stored.
  await tenant(
    org_id,
    (tx) => tx.exec`
      insert into message_embeddings (org_id, message_id, embedding)
      select org_id, id, ${toVector(embedding)}::text::vector from messages
      where org_id = ${org_id} and id = ${message_id} and status <> 'erased' for share
      on conflict (org_id, message_id) do update set embedding = excluded.embedding`,
  );
};
