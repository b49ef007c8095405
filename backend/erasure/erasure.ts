import { createHash, randomBytes } from "node:crypto";
import type { Tx } from "../db/tenant";
import { PROCESS_ID } from "../threads/turns/lease";

/** Longer than a heartbeat may be late; a process that died is followed by another after it. */
export const LEASE = "20 seconds";

export type Counts = Record<string, number>;

export interface Erasure {
  org_id: string;
  /** `erasure_…` */
  id: string;
  /** Null: the organization. */
  person_id: string | null;
  state: "running" | "done";
  step: string;
  counts: Counts;
  /** What the step has done already. */
  done: string[];
  requested_by: string;
  attempt: number;
  requested_at: Date;
  ended_at: Date | null;
  receipt: string | null;
  signature: string | null;
}

export async function readErasure(tx: Tx, orgId: string, id: string): Promise<Erasure | null> {
  return tx.queryRow<Erasure>`
    select org_id, id, person_id, state, step, counts, done, requested_by, attempt, requested_at, ended_at, receipt, signature
    from erasures where org_id = ${orgId} and id = ${id}`;
}

/** Takes an erasure that nobody works on, or null. */
export async function takeErasure(tx: Tx, orgId: string, id: string): Promise<Erasure | null> {
  return tx.queryRow<Erasure>`
    update erasures set lease_owner = ${PROCESS_ID}, lease_until = now() + ${LEASE}::text::interval, attempt = attempt + 1
    where org_id = ${orgId} and id = ${id} and state = 'running' and lease_until < now()
    returning org_id, id, person_id, state, step, counts, done, requested_by, attempt, requested_at, ended_at, receipt, signature`;
}

/** Adds to the figures of an erasure, in the transaction of what they count. */
export async function count(tx: Tx, { org_id, id }: Erasure, counts: Counts): Promise<void> {
  const some = Object.fromEntries(Object.entries(counts).filter(([, n]) => n > 0));
  if (Object.keys(some).length === 0) return;
  await tx.exec`
    update erasures set counts = counts || (
      select jsonb_object_agg(key, coalesce((counts ->> key)::bigint, 0) + value::bigint)
      from jsonb_each_text(${JSON.stringify(some)}::text::jsonb))
    where org_id = ${org_id} and id = ${id}`;
}

/**
 * Adds one of a kind, before it is removed elsewhere: whoever takes over finds it still there or not, and counts it once. (Counted when it is
 * gone, it would be missing in the receipt of an erasure whose process died in between.)
 */
export async function countOnce(tx: Tx, erasure: Erasure, kind: string, thing: string): Promise<void> {
  const { org_id, id } = erasure;
  const isNew = await tx.queryRow`
    update erasures set done = done || ${thing}::text
    where org_id = ${org_id} and id = ${id} and not ${thing}::text = any(done) returning id`;
  if (isNew) await count(tx, erasure, { [kind]: 1 });
}

/** Remembers that the step has done this one, so that whoever takes over does not do it again. */
export async function markDone(tx: Tx, { org_id, id }: Erasure, what: string): Promise<void> {
  await tx.exec`update erasures set done = done || ${what}::text where org_id = ${org_id} and id = ${id}`;
}

/** `gr_<organization>_<secret>`: like an API key it says where to look, and is kept as a hash. */
const TOKEN = /^gr_([0-7][0-9a-hjkmnp-tv-z]{25})_[0-9a-f]{64}$/;

export function newToken(orgId: string): string {
  return `gr_${orgId.slice("org_".length)}_${randomBytes(32).toString("hex")}`;
}

export function orgOfToken(token: string): string | null {
  const match = TOKEN.exec(token);
  return match ? `org_${match[1]}` : null;
}

export function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
