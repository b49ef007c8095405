import { api, ErrCode, type Header } from "encore.dev/api";
import { secret } from "encore.dev/config";
import type { Max, Min } from "encore.dev/validate";
import { actorOf, appendAudit } from "../audit/append-audit";
import type { Tx } from "../db/tenant";
import { notFound, problem } from "../lib/errors";
import { marked, runOnce } from "../lib/idempotency";
import { newId } from "../lib/ids";
import { whole } from "../lib/whole";
import { caller } from "../organizations/caller";
import { hashKey, newKey } from "../organizations/key-format";
import { inThread, lookInThread, requireLockedThread, requireThread } from "./in-thread";
import { requireMay } from "./roles";
import type { ThreadContext } from "./thread-context";

const apiKeyHashKey = secret("ApiKeyHashKey");
const HOURS_DEFAULT = 72;
/** Open ones of a thread. */
const INVITATIONS_OPEN_MAX = 50;
const INVITATIONS_LISTED_MAX = 200;

interface Invitation {
  id: string;
  /** What whoever accepts becomes in the thread. */
  role: "speaker" | "listener";
  created_by: string;
  created_at: string;
  expires_at: string;
  accepted_at: string | null;
  /** The guest (user id) that whoever accepted became. */
  accepted_by: string | null;
  revoked_at: string | null;
}

interface InviteGuestRequest {
  id: string;
  /** `speaker` by default. */
  role?: "speaker" | "listener";
  /** Hours until it ends by itself; 72 by default, at most 30 days. */
  hours?: number & (Min<1> & Max<720>);
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface InviteGuestResponse {
  id: string;
  /** For `POST /invitations/accept`, once. Shown here only; its hash is stored. */
  token: string;
  role: "speaker" | "listener";
  expires_at: string;
  context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Invites somebody of another organization into a thread, as a guest, by a token that is good once; for hosts. */
export const inviteGuest = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/invitations" },
  async ({ id, idempotency_key: key, ...req }: InviteGuestRequest): Promise<InviteGuestResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const { role = "speaker", hours = HOURS_DEFAULT } = req;
    whole("hours", hours);
    const invite = async (tx: Tx): Promise<InviteGuestResponse> => {
      const state = await requireLockedThread(tx, orgID, id);
      requireMay(state, who, "invite_guests");
      await refuseTooMany(tx, orgID, id);
      const token = newKey(orgID, "gi_");
      const row = await tx.queryRow<{ id: string; expires_at: Date }>`
        insert into thread_invitations (org_id, thread_id, id, hash, role, created_by, created_key, expires_at)
        values (${orgID}, ${id}, ${newId("inv")}, ${hashKey(token, apiKeyHashKey())}, ${role}, ${userID}, ${who.keyID}::text,
          now() + make_interval(hours => ${hours}::int))
        returning id, expires_at`;
      if (!row) throw new Error("the invitation was not stored");
      const expires_at = row.expires_at.toISOString();
      const target = { type: "invitation", id: row.id };
      const change = { thread: id, role, expires_at };
      await appendAudit(tx, { orgId: orgID, actor: actorOf(who), action: "guest.invited", target, change });
      return { id: row.id, token, role, expires_at, context: state.context };
    };
    const request = ["POST /threads/:id/invitations", id, role, hours];
    const once = { orgId: orgID, caller: userID, key, request, threadId: id, sealWith: apiKeyHashKey() };
    return marked(await inThread(who, id, (tx) => runOnce(tx, once, () => invite(tx))));
  },
);

async function refuseTooMany(tx: Tx, orgId: string, threadId: string): Promise<void> {
  const row = await tx.queryRow<{ open: number }>`
    select count(*)::int as open from thread_invitations
    where org_id = ${orgId} and thread_id = ${threadId} and accepted_at is null and revoked_at is null and expires_at > now()`;
  if ((row?.open ?? 0) < INVITATIONS_OPEN_MAX) return;
  throw problem(
    ErrCode.ResourceExhausted,
    "too_many_invitations",
    "So many invitations into this thread are open.",
    "Revoke some, or wait until they are accepted or end.",
    { invitations_max: INVITATIONS_OPEN_MAX },
  );
}

interface ListInvitationsResponse {
  invitations: Invitation[];
  context: ThreadContext;
}

type InvitationRow = { [field in keyof Invitation]: field extends `${string}_at` ? Date : Invitation[field] };

/** A thread's invitations, newest first, without their tokens; for hosts. */
export const listInvitations = api(
  { expose: true, auth: true, method: "GET", path: "/threads/:id/invitations" },
  async ({ id }: { id: string }): Promise<ListInvitationsResponse> => {
    const who = caller();
    const { orgID } = who;
    return lookInThread(who, id, async (tx) => {
      const state = await requireThread(tx, orgID, id);
      requireMay(state, who, "invite_guests");
      const rows = await tx.queryAll<InvitationRow>`
        select id, role, created_by, created_at, expires_at, accepted_at, accepted_by, revoked_at from thread_invitations
        where org_id = ${orgID} and thread_id = ${id} order by id desc limit ${INVITATIONS_LISTED_MAX}`;
      const invitations = rows.map((row) => ({
        ...row,
        created_at: row.created_at.toISOString(),
        expires_at: row.expires_at.toISOString(),
        accepted_at: row.accepted_at?.toISOString() ?? null,
        revoked_at: row.revoked_at?.toISOString() ?? null,
      }));
      return { invitations, context: state.context };
    });
  },
);

interface RevokeInvitationRequest {
  id: string;
  invitationId: string;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface RevokeInvitationResponse {
  id: string;
  revoked: boolean;
  context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Revokes an invitation: its token is good no more. Whoever has accepted it stays, until removed from the thread. For hosts. */
export const revokeInvitation = api(
  { expose: true, auth: true, method: "DELETE", path: "/threads/:id/invitations/:invitationId" },
  async ({ id, invitationId, idempotency_key: key }: RevokeInvitationRequest): Promise<RevokeInvitationResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const revoke = async (tx: Tx): Promise<RevokeInvitationResponse> => {
      const state = await requireLockedThread(tx, orgID, id);
      requireMay(state, who, "invite_guests");
      const row = await tx.queryRow<{ revoked: boolean }>`
        select revoked_at is not null as revoked from thread_invitations
        where org_id = ${orgID} and thread_id = ${id} and id = ${invitationId}`;
      if (!row) throw notFound("invitation");
      if (!row.revoked) {
        await tx.exec`
          update thread_invitations set revoked_at = now()
          where org_id = ${orgID} and thread_id = ${id} and id = ${invitationId}`;
        const target = { type: "invitation", id: invitationId };
        const change = { thread: id };
        await appendAudit(tx, {
          orgId: orgID,
          actor: actorOf(who),
          action: "guest.invitation_revoked",
          target,
          change,
        });
      }
      return { id: invitationId, revoked: true, context: state.context };
    };
    const request = ["DELETE /threads/:id/invitations/:invitationId", id, invitationId];
    const once = { orgId: orgID, caller: userID, key, request, threadId: id };
    return marked(await inThread(who, id, (tx) => runOnce(tx, once, () => revoke(tx))));
  },
);
