import { api, ErrCode, type Header } from "encore.dev/api";
import { secret } from "encore.dev/config";
import type { MaxLen } from "encore.dev/validate";
import { actorOf, appendAudit } from "../audit/append-audit";
import { type Tx, tenant } from "../db/tenant";
import { notFound, problem } from "../lib/errors";
import type { LogEntry } from "../lib/events";
import { marked, runOnce } from "../lib/idempotency";
import { newId } from "../lib/ids";
import type { Caller } from "../organizations/authenticate";
import { caller } from "../organizations/caller";
import { insertKey } from "../organizations/insert-key";
import { hashKey, parseKey } from "../organizations/key-format";
import { requireLockedThread } from "./in-thread";
import { joinThread } from "./join-thread";
import { publish } from "./live/channels";

const apiKeyHashKey = secret("ApiKeyHashKey");

interface AcceptInvitationRequest {
  token: string & MaxLen<200>;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface AcceptInvitationResponse {
  /** The organization whose guest the caller is now, and who they are there. */
  organization_id: string;
  user_id: string;
  thread_id: string;
  /** For that thread and nothing else. Shown once; only its hash is stored. */
  api_key: string;
  scopes: string[];
  expires_at: string;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/**
 * Accepts an invitation into another organization's thread, with one's own credentials. The caller becomes a guest there, under the name they
 * have at home, and gets a key for that thread. Unknown, used, revoked and ended tokens are one answer.
 */
export const acceptInvitation = api(
  { expose: true, auth: true, method: "POST", path: "/invitations/accept" },
  async ({ token, idempotency_key: key }: AcceptInvitationRequest): Promise<AcceptInvitationResponse> => {
    const who = caller();
    const parsed = parseKey(token, "gi_");
    if (!parsed) throw notFound("invitation");
    const { orgId } = parsed;
    if (orgId === who.orgID) throw alreadyHere();
    const home = hashKey(`${who.orgID} ${who.userID}`, apiKeyHashKey());
    // The key belongs to the person, as the inviting organization knows them: so the whole is one transaction there.
    const once = {
      orgId,
      caller: `home ${home.toString("hex")}`,
      key,
      request: ["POST /invitations/accept", token],
      sealWith: apiKeyHashKey(),
    };
    let entries: LogEntry[] = [];
    const accepted = await tenant(orgId, async (tx) => {
      const invitation = await lockInvitation(tx, orgId, hashKey(token, apiKeyHashKey()));
      if (!invitation) throw notFound("invitation");
      const { thread_id: threadId } = invitation;
      return runOnce(tx, { ...once, threadId }, async (): Promise<AcceptInvitationResponse> => {
        if (!invitation.open) throw notFound("invitation");
        await requireLockedThread(tx, orgId, threadId);
        const userId = await guestOf(tx, orgId, home, who);
        entries = await joinThread(tx, orgId, threadId, { people: [userId], agents: [], role: invitation.role });
        await tx.exec`
          update thread_invitations set accepted_at = now(), accepted_by = ${userId}
          where org_id = ${orgId} and thread_id = ${threadId} and id = ${invitation.id}`;
        const scopes = [`threads:${threadId}:*`, `messages:${threadId}:*`];
        // What the guest spends is the inviting organization's: nobody is rid of a key's budget by inviting somebody with it.
        const madeBy = invitation.created_key;
        const made = await insertKey(tx, { orgId, userId, name: "guest", scopes, hashSecret: apiKeyHashKey(), madeBy });
        const { api_key, expires_at } = made;
        const target = { type: "person", id: userId };
        const change = { thread: threadId, invitation: invitation.id, role: invitation.role, key: made.id };
        // Who they are at home is nobody's business here.
        await appendAudit(tx, { orgId, actor: actorOf({ userID: userId }), action: "guest.added", target, change });
        return { organization_id: orgId, user_id: userId, thread_id: threadId, api_key, scopes, expires_at };
      });
    });
    publish(orgId, accepted.answer.thread_id, entries);
    return marked(accepted);
  },
);

interface Open {
  id: string;
  thread_id: string;
  role: "speaker" | "listener";
  created_key: string | null;
  open: boolean;
}

/** Of two who accept at once, the second waits here and finds it used. The thread's lock comes first, as everywhere. */
async function lockInvitation(tx: Tx, orgId: string, hash: Buffer): Promise<Open | null> {
  const found = await tx.queryRow<{ thread_id: string }>`
    select thread_id from thread_invitations where org_id = ${orgId} and hash = ${hash}`;
  if (!found) return null;
  await tx.exec`select from threads where org_id = ${orgId} and id = ${found.thread_id} for update`;
  return tx.queryRow<Open>`
    select id, thread_id, role, created_key, accepted_at is null and revoked_at is null and expires_at > now() as open
    from thread_invitations where org_id = ${orgId} and hash = ${hash}`;
}

/** The guest that this person of another organization is here; made the first time, and kept in step with their name. */
async function guestOf(tx: Tx, orgId: string, home: Buffer, { userName }: Caller): Promise<string> {
  const row = await tx.queryRow<{ id: string }>`
    insert into users (org_id, id, name, home) values (${orgId}, ${newId("user")}, ${userName}, ${home})
    on conflict (org_id, home) where home is not null do update set name = excluded.name returning id`;
  if (!row) throw new Error("the guest was not stored");
  await tx.exec`
    insert into members (org_id, user_id, role) values (${orgId}, ${row.id}, 'guest') on conflict (org_id, user_id) do nothing`;
  return row.id;
}

function alreadyHere() {
  return problem(
    ErrCode.FailedPrecondition,
    "own_organization",
    "This invitation is for people of other organizations.",
    "Ask a host of the thread to add you: POST /threads/:id/participants.",
    { context: null },
  );
}
