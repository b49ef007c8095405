import type { Tx } from "../db/tenant";
import { newId } from "../lib/ids";
import { hashKey, newKey } from "./key-format";

/** A key that is forgotten somewhere ends by itself. */
export const KEY_DAYS_DEFAULT = 90;

interface NewKey {
  orgId: string;
  userId: string;
  name: string;
  hashSecret: string;
  days?: number;
  /** What it may do; everything by default. */
  scopes?: readonly string[];
}

/** Makes an API key and stores its hash. The key itself is in the answer and nowhere else. */
export async function insertKey(
  tx: Tx,
  { orgId, userId, name, hashSecret, days = KEY_DAYS_DEFAULT, scopes = ["*"] }: NewKey,
) {
  const key = newKey(orgId);
  const row = await tx.queryRow<{ id: string; expires_at: Date }>`
    insert into api_keys (org_id, id, user_id, name, hash, last_four, scopes, expires_at)
    values (${orgId}, ${newId("key")}, ${userId}, ${name}, ${hashKey(key, hashSecret)}, ${key.slice(-4)}, ${scopes}::text[],
      now() + make_interval(days => ${days}::int))
    returning id, expires_at`;
  if (!row) throw new Error("the key was not stored");
  return { id: row.id, api_key: key, scopes: [...scopes], expires_at: row.expires_at.toISOString() };
}
