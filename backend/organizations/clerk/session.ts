import { createHash } from "node:crypto";
import { ErrCode } from "encore.dev/api";
import log from "encore.dev/log";
import { type Tx, tenant } from "../../db/tenant";
import { problem } from "../../lib/errors";
import { sessionsRefused } from "../../lib/metrics";
import type { Caller } from "../authenticate";
import { orgIdOf } from "./clerk-ids";
import { bringName, ownOrganization, writePlace } from "./own-organization";
import type { SessionClaims } from "./read-claims";
import { KeysUnavailable, SessionRefused } from "./refusal";
import { holdOrganization, namePerson, takeSeat } from "./seats";
import { type ClerkSettings, clerkSettings } from "./settings";
import { inClerksName } from "./tell";
import { verifyToken } from "./verify-token";

/** How long a person's place is trusted without asking the database: whoever has lost it is out within this. */
const TRUST_MS = 5_000;
const SESSIONS_MAX = 10_000;
/** What a person is in their own organization. */
const OWN_ROLE = "org:owner";

interface Session {
  claims: SessionClaims;
  caller: Promise<Caller>;
  until: number;
}

/** Tokens whose signature was right, by their hash: it is looked at once, not at each request. */
const sessions = new Map<string, Session>();

/**
 * Whose session token this is, or null: why not is in the log and in no answer. An organization or a person seen for the first time is made
 * here. Throws `unavailable` when Clerk's keys cannot be had.
 */
export async function authenticateSession(token: string): Promise<Caller | null> {
  try {
    const settings = clerkSettings();
    if (!settings) throw new SessionRefused("not_configured");
    return await openSession(token, settings);
  } catch (error) {
    if (error instanceof KeysUnavailable) throw keysUnavailable();
    if (!(error instanceof SessionRefused)) throw error;
    sessionsRefused.inc({ reason: error.reason });
    log.info("a session token was refused", { reason: error.reason });
    return null;
  }
}

async function openSession(token: string, settings: ClerkSettings): Promise<Caller> {
  const hash = createHash("sha256").update(token).digest("base64");
  const claims = sessions.get(hash)?.claims ?? (await verifyToken(token, settings));
  if (claims.expiresAt <= Date.now()) {
    sessions.delete(hash);
    throw new SessionRefused("expired");
  }
  const known = sessions.get(hash);
  if (known && known.until > performance.now()) return known.caller;

  const session = { claims, caller: callerOf(claims, settings), until: performance.now() + TRUST_MS };
  sessions.delete(hash);
  if (sessions.size >= SESSIONS_MAX) sessions.delete(sessions.keys().next().value as string);
  sessions.set(hash, session);
  try {
    return await session.caller;
  } catch (error) {
    if (sessions.get(hash) === session) sessions.delete(hash);
    throw error;
  }
}

interface Seat {
  user_id: string | null;
  user_name: string | null;
  member_role: Caller["role"] | null;
  clerk_role: string | null;
  said_at: Date;
  named_at: Date | null;
  removed: boolean;
  deleted: boolean;
}

/** The person in the token's organization, as the token or a newer word of Clerk's says. */
async function callerOf(claims: SessionClaims, { issuer }: ClerkSettings): Promise<Caller> {
  const { userId, organization, issuedAt, name, expiresAt } = claims;
  const own = ownOrganization(issuer, userId);
  const place = organization
    ? {
        orgId: orgIdOf(issuer, organization.id),
        externalId: organization.id,
        name: organization.slug ?? "Organization",
        role: organization.role,
      }
    : { ...own, role: OWN_ROLE };
  const { orgId, role } = place;

  let seat = await tenant(orgId, (tx) => readSeat(tx, orgId, userId));
  if (seat?.deleted) throw new SessionRefused("not_a_member");
  const isNews = !seat || (seat.said_at < issuedAt && (seat.removed || seat.clerk_role !== role));
  const isNewName = name !== null && seat?.user_name !== name && (!seat?.named_at || seat.named_at < issuedAt);
  if (isNews || isNewName) {
    if (orgId !== own.orgId && !(await writePlace(issuer, userId, orgId))) throw new SessionRefused("not_a_member");
    await inClerksName(orgId, async (tx, tell) => {
      const known = await holdOrganization(tx, tell, orgId, place, issuedAt);
      await takeSeat(tx, tell, orgId, known, { externalId: userId, role, at: issuedAt });
      if (name !== null)
        await namePerson(tx, tell, orgId, { externalId: userId, name, email: claims.email, at: issuedAt });
    });
    if (isNews) await bringName(issuer, userId, orgId);
    seat = await tenant(orgId, (tx) => readSeat(tx, orgId, userId));
  }
  if (!seat?.user_id || !seat.member_role || seat.removed || seat.deleted) throw new SessionRefused("not_a_member");
  return {
    userID: seat.user_id,
    orgID: orgId,
    role: seat.member_role,
    userName: seat.user_name ?? "",
    via: "session",
    keyID: null,
    expiresAt,
    scopes: ["*"], // what their role may
  };
}

async function readSeat(tx: Tx, orgId: string, clerkUserId: string): Promise<Seat | null> {
  return tx.queryRow<Seat>`
    select u.id as user_id, u.name as user_name, m.role as member_role, s.role as clerk_role, s.said_at, s.named_at, s.removed,
      o.deleted_at is not null as deleted
    from clerk_seats s join clerk_organizations o using (org_id)
      left join users u on (u.org_id, u.external_id) = (s.org_id, s.external_id)
      left join members m on (m.org_id, m.user_id) = (u.org_id, u.id)
    where s.org_id = ${orgId} and s.external_id = ${clerkUserId}`;
}

function keysUnavailable() {
  return problem(
    ErrCode.Unavailable,
    "sign_in_unavailable",
    "Session tokens cannot be checked at the moment.",
    "Try again in a few seconds.",
  );
}
