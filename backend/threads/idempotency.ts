import { createHash } from "node:crypto";
import { ErrCode } from "encore.dev/api";
import type { Tx } from "../db/tenant";
import { invalid, problem } from "../lib/errors";

const KEY_CHARS_MAX = 255;
/** How long an answer is kept for a retry. */
const KEEP = "24 hours";
/** Expired keys of the organization that go with each new one: more than one, so that none stay. */
const PRUNED_MAX = 10;

interface Once {
  orgId: string;
  /** Whose key it is: two users may choose the same. */
  caller: string;
  key: string | undefined;
  /** What makes two requests the same one. */
  request: unknown[];
}

/**
 * Runs `work` once for an Idempotency-Key: a retry gets the stored answer. Key, answer and all that `work` writes are one transaction; a
 * second request at the same instant waits on the key's row until the first has ended. Without a key, `work` simply runs.
 */
export async function replayOrRun<T>(tx: Tx, once: Once, work: () => Promise<T>): Promise<T> {
  const { orgId, caller, key, request } = once;
  if (key === undefined) return work();
  if (key.length === 0 || key.length > KEY_CHARS_MAX) {
    throw invalid(
      "bad_idempotency_key",
      `Idempotency-Key: 1 to ${KEY_CHARS_MAX} characters.`,
      "A UUID for each message does well.",
    );
  }
  const hash = createHash("sha256").update(JSON.stringify(request)).digest();
  const first = await tx.queryRow`
    insert into idempotency_keys as k (org_id, caller, key, request_hash) values (${orgId}, ${caller}, ${key}, ${hash})
    on conflict (org_id, caller, key) do update
      set request_hash = excluded.request_hash, response = null, created_at = now()
      where k.created_at < now() - ${KEEP}::text::interval
    returning key`;
  if (first) {
    const response = await work();
    await tx.exec`
      with pruned as (
        delete from idempotency_keys where (org_id, caller, key) in (
          select org_id, caller, key from idempotency_keys
          where org_id = ${orgId} and created_at < now() - ${KEEP}::text::interval
          order by created_at limit ${PRUNED_MAX} for update skip locked)
      )
      update idempotency_keys set response = ${JSON.stringify(response)}::text::jsonb
      where org_id = ${orgId} and caller = ${caller} and key = ${key}`;
    return response;
  }
  const known = await tx.queryRow<{ same: boolean; response: T }>`
    select request_hash = ${hash} as same, response from idempotency_keys
    where org_id = ${orgId} and caller = ${caller} and key = ${key}`;
  if (known?.same) return known.response;
  throw problem(
    ErrCode.AlreadyExists,
    "idempotency_key_reused",
    "This Idempotency-Key belongs to another request.",
    "Use a new key for a new message; repeat a key only with the very same request.",
  );
}
