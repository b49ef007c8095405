import { type Tx, tenant } from "../db/tenant";
import { type Caller, keyIsValid } from "./authenticate";

/** Why what opened something long-lived, a stream or a WebSocket, counts no more. Only `session_expired` is worth coming back from. */
export type CredentialEnd = "key_invalid" | "session_expired" | "session_invalid";

/** Words for people, in the streams' last event. */
export const CREDENTIAL_ENDS: Record<CredentialEnd, string> = {
  key_invalid: "The API key of this stream is not valid any more.",
  session_expired: "The session token of this stream has expired.",
  session_invalid: "The person of this stream is no member of the organization any more.",
};

/** Asked now and again while it is open. Null while it counts; rejects when the database is away. */
export async function credentialEnd(who: Caller): Promise<CredentialEnd | null> {
  if (who.keyID !== null) return (await keyIsValid(who.orgID, who.keyID)) ? null : "key_invalid";
  if (hasExpired(who)) return "session_expired";
  return tenant(who.orgID, async (tx) => (await readEnds(tx, who.orgID, [who]))(who));
}

/** The same for many callers of one organization, in its transaction: what it returns says it of each of them. */
export async function readEnds(
  tx: Tx,
  orgId: string,
  callers: Caller[],
): Promise<(who: Caller) => CredentialEnd | null> {
  const keyIds = new Set<string>();
  const people = new Set<string>();
  for (const { keyID, userID } of callers) keyID === null ? people.add(userID) : keyIds.add(keyID);
  const valid = await tx.queryAll<{ id: string }>`
    select k.id from api_keys k join members m using (org_id, user_id)
    where k.org_id = ${orgId} and k.id = any(${[...keyIds]}::text[]) and k.revoked_at is null and k.expires_at > now()
    union all
    select user_id from members where org_id = ${orgId} and user_id = any(${[...people]}::text[])`;
  const known = new Set(valid.map(({ id }) => id));
  return (who) => {
    if (who.keyID !== null) return known.has(who.keyID) ? null : "key_invalid";
    if (hasExpired(who)) return "session_expired";
    return known.has(who.userID) ? null : "session_invalid";
  };
}

function hasExpired({ expiresAt }: Caller): boolean {
  return expiresAt <= Date.now();
}
