import type { Tx } from "../db/tenant";
import type { Caller } from "./authenticate";

/** Why what opened something long-lived, a stream or a WebSocket, counts no more. */
export type CredentialEnd = "key_invalid" | "session_expired" | "session_invalid" | "role_changed" | "not_in_thread";

/** Words for people, in the streams' last event. */
export const CREDENTIAL_ENDS: Record<CredentialEnd, string> = {
  key_invalid: "The API key of this stream is not valid any more.",
  session_expired: "The session token of this stream has expired.",
  session_invalid: "The person of this stream is no member of the organization any more.",
  role_changed: "The role of this stream's person in the organization has changed.",
  not_in_thread: "The person of this stream is a guest, and takes no part in the thread any more.",
};

/** Something that a caller holds open. */
export interface Held {
  who: Caller;
  threadId: string;
}

/**
 * Asked now and again while things of one organization are open, in its transaction: what it returns says of each of them why it ends, and
 * null while it counts.
 */
export async function readEnds(
  tx: Tx,
  orgId: string,
  held: readonly Held[],
): Promise<(one: Held) => CredentialEnd | null> {
  const keyIds = new Set<string>();
  const people = new Set<string>();
  for (const { who } of held) who.keyID === null ? people.add(who.userID) : keyIds.add(who.keyID);
  const valid = await tx.queryAll<{ id: string; role: Caller["role"] }>`
    select k.id, case when k.made_by_admin and m.role = 'owner' then 'admin' else m.role end as role from api_keys k join members m using (org_id, user_id)
    where k.org_id = ${orgId} and k.id = any(${[...keyIds]}::text[]) and k.revoked_at is null and k.expires_at > now()
    union all
    select user_id, role from members where org_id = ${orgId} and user_id = any(${[...people]}::text[])`;
  const roles = new Map(valid.map(({ id, role }) => [id, role]));
  const here = await guestsHere(tx, orgId, held);
  return ({ who, threadId }) => {
    if (who.keyID === null && hasExpired(who)) return "session_expired";
    const role = roles.get(who.keyID ?? who.userID);
    if (role === undefined) return who.keyID === null ? "session_invalid" : "key_invalid";
    if (role !== who.role) return "role_changed";
    return role === "guest" && !here.has(`${who.userID}/${threadId}`) ? "not_in_thread" : null;
  };
}

/** Guests see a thread while they take part in it, and no longer. */
async function guestsHere(tx: Tx, orgId: string, held: readonly Held[]): Promise<Set<string>> {
  const guests = held.filter(({ who }) => who.role === "guest");
  if (guests.length === 0) return new Set();
  const rows = await tx.queryAll<{ user_id: string; thread_id: string }>`
    select user_id, thread_id from participants
    where org_id = ${orgId} and left_at is null
      and thread_id = any(${guests.map(({ threadId }) => threadId)}::text[])
      and user_id = any(${guests.map(({ who }) => who.userID)}::text[])`;
  return new Set(rows.map(({ user_id, thread_id }) => `${user_id}/${thread_id}`));
}

function hasExpired({ expiresAt }: Caller): boolean {
  return expiresAt <= Date.now();
}
