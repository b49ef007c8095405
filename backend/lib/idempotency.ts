import { createHash } from "node:crypto";
import { ErrCode } from "encore.dev/api";
import type { Tx } from "../db/tenant";
import { invalid, notFound, problem } from "./errors";
import { seal, unseal } from "./seal";

const KEY_CHARS_MAX = 255;
/** How long an answer is kept for a retry. */
const KEEP = "24 hours";
/** Expired keys of the organization that go with each new one: more than one, so that none stay. */
const PRUNED_MAX = 10;

/** A write that is done once for its key, however the key came: the header Idempotency-Key, or a message of a socket. */
export interface Once {
  orgId: string;
  /** Whose key it is: two users may choose the same. */
  caller: string;
  key: string | undefined;
  /** What makes two requests the same one: the operation, and its fields. */
  request: unknown[];
  /** The thread that the answer speaks of: once that is erased, so is the answer. */
  threadId?: string | undefined;
  /** For an answer with a secret in it: what it is sealed with. */
  sealWith?: string;
}

export interface Answered<T> {
  answer: T;
  /** It was given before; nothing was done now. */
  replayed: boolean;
}

/**
 * Runs `work` once for an idempotency key: a retry gets the stored answer. Key, answer and all that `work` writes are one transaction; a
 * second request at the same instant, in whichever process, waits on the key's row until the first has ended. A request that failed has
 * stored nothing and can be repeated. Without a key, `work` simply runs. Publish what was written only when it was not replayed.
 */
export async function runOnce<T extends object>(tx: Tx, once: Once, work: () => Promise<T>): Promise<Answered<T>> {
  const { orgId, caller, key, threadId = null } = once;
  if (key === undefined) return { answer: await work(), replayed: false };
  if (key.length === 0 || key.length > KEY_CHARS_MAX) {
    throw invalid(
      "bad_idempotency_key",
      `Idempotency-Key: 1 to ${KEY_CHARS_MAX} characters.`,
      "A UUID for each request does well.",
    );
  }
  const hash = createHash("sha256").update(JSON.stringify(once.request)).digest();
  const first = await tx.queryRow`
    insert into idempotency_keys as k (org_id, caller, key, request_hash, thread_id)
    values (${orgId}, ${caller}, ${key}, ${hash}, ${threadId}::text)
    on conflict (org_id, caller, key) do update
      set request_hash = excluded.request_hash, thread_id = excluded.thread_id, response = null, erased_at = null, created_at = now()
      where k.created_at < now() - ${KEEP}::text::interval
    returning key`;
  if (first) {
    const answer = await work();
    await keepAnswer(tx, once, answer);
    await prune(tx, orgId);
    return { answer, replayed: false };
  }
  const known = await tx.queryRow<{ same: boolean; response: unknown; erased: boolean }>`
    select request_hash = ${hash} as same, response, erased_at is not null as erased from idempotency_keys
    where org_id = ${orgId} and caller = ${caller} and key = ${key} for update`;
  if (!known?.same) throw keyReused();
  if (known.erased) throw notFound("thread");
  return { answer: opened<T>(once, known.response), replayed: true };
}

/** Stores another answer for the key, in a later transaction of the same request: what the first one could not know yet. */
export async function keepAnswer(tx: Tx, once: Once, answer: object): Promise<void> {
  const { orgId, caller, key, sealWith } = once;
  if (key === undefined) return;
  const text = JSON.stringify(answer);
  const kept =
    sealWith === undefined ? text : JSON.stringify({ sealed: seal(text, ownerOf(once), sealWith).toString("base64") });
  await tx.exec`
    update idempotency_keys set response = ${kept}::text::jsonb
    where org_id = ${orgId} and caller = ${caller} and key = ${key} and erased_at is null`;
}

/**
 * The second part of a request whose first part has ended with `runOnce` and an empty answer: `work` runs once, though a retry may come
 * between the two parts.
 */
export async function finishOnce<T extends object>(tx: Tx, once: Once, work: () => Promise<T>): Promise<T> {
  const { orgId, caller, key } = once;
  if (key === undefined) return work();
  const known = await tx.queryRow<{ response: { answer?: T } | null }>`
    select response from idempotency_keys where org_id = ${orgId} and caller = ${caller} and key = ${key} for update`;
  if (known?.response?.answer) return known.response.answer;
  const answer = await work();
  await keepAnswer(tx, once, { answer });
  return answer;
}

/** Forgets the answers that speak of a thread; whoever repeats such a request is told that the thread is not there. */
export async function eraseAnswers(tx: Tx, orgId: string, threadId: string): Promise<void> {
  await tx.exec`
    update idempotency_keys set response = null, erased_at = now() where org_id = ${orgId} and (thread_id = ${threadId} or response #>> '{thread,id}' = ${threadId})`;
}

export function keyReused() {
  return problem(
    ErrCode.AlreadyExists,
    "idempotency_key_reused",
    "This Idempotency-Key belongs to another request.",
    "Use a new key for a new request; repeat a key only with the very same request.",
  );
}

/** The answer as an endpoint gives it: one that was given before is marked by the header Idempotent-Replayed. */
export function marked<T extends object>({ answer, replayed }: Answered<T>): T & { replayed?: string } {
  return replayed ? { ...answer, replayed: "true" } : answer;
}

async function prune(tx: Tx, orgId: string): Promise<void> {
  await tx.exec`
    delete from idempotency_keys where (org_id, caller, key) in (
      select org_id, caller, key from idempotency_keys
      where org_id = ${orgId} and created_at < now() - ${KEEP}::text::interval
      order by created_at limit ${PRUNED_MAX} for update skip locked)`;
}

function opened<T>(once: Once, response: unknown): T {
  if (once.sealWith === undefined) return response as T;
  const { sealed } = response as { sealed: string };
  const text = unseal(Buffer.from(sealed, "base64"), ownerOf(once), once.sealWith);
  if (text === null) throw keyReused(); // the server's secret was changed since: the answer is gone, and the request was another server's
  return JSON.parse(text) as T;
}

function ownerOf({ orgId, caller, key = "" }: Once): string {
  return `idempotency_keys ${orgId} ${caller} ${key}`;
}
