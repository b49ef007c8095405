import { secret } from "encore.dev/config";
import type { Tx } from "../../db/tenant";
import { hashKey } from "../key-format";

/**
 * People who were erased, and may be Clerk's still. What Clerk said of them before must not bring them back: a token that lives yet, or a
 * webhook that comes late. So their seat stays, taken, under a keyed hash in place of Clerk's id: it says who they were to nobody, and
 * recognizes them when Clerk names them.
 */

const apiKeyHashKey = secret("ApiKeyHashKey");

function seatOf(externalId: string): string {
  return `erased ${hashKey(`erased ${externalId}`, apiKeyHashKey()).toString("hex")}`;
}

/** Takes the seats of people who are being erased. */
export async function rememberErased(tx: Tx, orgId: string, externalIds: string[]): Promise<void> {
  await tx.exec`
    insert into clerk_seats (org_id, external_id, said_at, removed)
    select ${orgId}, seat, now(), true from unnest(${externalIds.map(seatOf)}::text[]) seat
    on conflict (org_id, external_id) do update set said_at = excluded.said_at`;
}

/** Whether the person was erased after Clerk said something of them. */
export async function wasErasedSince(tx: Tx, orgId: string, externalId: string, at: Date): Promise<boolean> {
  const row = await tx.queryRow`
    select 1 as here from clerk_seats where org_id = ${orgId} and external_id = ${seatOf(externalId)} and said_at >= ${at}`;
  return row !== null;
}

/** Whether Clerk gives up the seat of somebody who was erased, and has not come back: that it was given up counts, and who they are is not kept anew. */
export async function leaveErasedSeat(tx: Tx, orgId: string, externalId: string, at: Date): Promise<boolean> {
  const row = await tx.queryRow`
    update clerk_seats e set said_at = greatest(e.said_at, ${at})
    where e.org_id = ${orgId} and e.external_id = ${seatOf(externalId)}
      and not exists (select from clerk_seats s where s.org_id = ${orgId} and s.external_id = ${externalId})
    returning 1 as here`;
  return row !== null;
}

/**
 * Whether the organization is being erased, or was after Clerk said something of it: then it is not made again, by a token of before
 * or by a word that comes late. Null: whatever the word's time.
 */
export async function isErased(tx: Tx, orgId: string, at: Date | null): Promise<boolean> {
  const row = await tx.queryRow`
    select 1 as here from erasures
    where org_id = ${orgId} and person_id is null and (state = 'running' or requested_at >= ${at}::timestamptz) limit 1`;
  return row !== null;
}
