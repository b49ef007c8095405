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
  /** The key it is made with, where it is one: what holds that one to a budget holds the new one too. */
  madeBy?: string | null;
  /** An admin makes it for somebody else: it acts as no owner, should they become one. */
  madeByAdmin?: boolean;
}

/** Makes an API key and stores its hash. The key itself is in the answer and nowhere else. */
export async function insertKey(
  tx: Tx,
  {
    orgId,
    userId,
    name,
    hashSecret,
    days = KEY_DAYS_DEFAULT,
    scopes = ["*"],
    madeBy = null,
    madeByAdmin = false,
  }: NewKey,
) {
  const key = newKey(orgId);
  const row = await tx.queryRow<{ id: string; expires_at: Date }>`
    insert into api_keys (org_id, id, user_id, name, hash, last_four, scopes, expires_at, made_by_admin, bounded_by)
    values (${orgId}, ${newId("key")}, ${userId}, ${name}, ${hashKey(key, hashSecret)}, ${key.slice(-4)}, ${scopes}::text[],
      now() + make_interval(days => ${days}::int), ${madeByAdmin},
      (select ${madeBy}::text where exists (
        select from limits l, key_line(${orgId}, ${madeBy}::text) k where l.org_id = ${orgId} and l.scope = 'key' and l.scope_id = k)))
    returning id, expires_at`;
  if (!row) throw new Error("the key was not stored");
  return { id: row.id, api_key: key, scopes: [...scopes], expires_at: row.expires_at.toISOString() };
}
