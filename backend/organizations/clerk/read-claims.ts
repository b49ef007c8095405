import { SessionRefused } from "./refusal";
import { roleKey } from "./roles";

/** What a session token says, in either of Clerk's versions. */
export interface SessionClaims {
  /** Clerk's `user_…`. */
  userId: string;
  /** The active organization, and the person's role in it as Clerk's key (`org:admin`); null for none. */
  organization: { id: string; role: string; slug: string | null } | null;
  issuedAt: Date;
  /** Milliseconds since 1970. */
  expiresAt: number;
  /** Where the instance puts them into its tokens. */
  name: string | null;
  email: string | null;
}

type Claims = Record<string, unknown>;

const USER_ID = /^user_[A-Za-z0-9]{1,100}$/;
const ORG_ID = /^org_[A-Za-z0-9]{1,100}$/;
const ROLE = /^[a-z0-9_:-]{1,100}$/i;

/** Reads the claims of a token whose signature, issuer, party and times are right. Throws SessionRefused. */
export function readClaims(claims: Claims): SessionClaims {
  const { sub, sid, sts, act, iat, exp } = claims;
  // Tokens made from templates for other services, and those of machines, are signed with the same key: they have no session.
  if (typeof sid !== "string" || typeof sub !== "string" || !USER_ID.test(sub)) throw new SessionRefused("no_session");
  if (act !== undefined && act !== null) throw new SessionRefused("impersonated");
  if (sts !== undefined && sts !== "active") throw new SessionRefused("session_pending");
  if (typeof iat !== "number" || typeof exp !== "number") throw new SessionRefused("bad_claims");
  return {
    userId: sub,
    organization: readOrganization(claims),
    issuedAt: new Date(iat * 1000),
    expiresAt: exp * 1000,
    name: text(claims.name) ?? text(claims.full_name),
    email: text(claims.email),
  };
}

/** A claim that is there and not understood is refused: it must not become "no organization". */
function readOrganization(claims: Claims): SessionClaims["organization"] {
  const { v = 1, o } = claims;
  if (v === 2) {
    if (o === undefined || o === null) return null;
    if (typeof o !== "object") throw new SessionRefused("bad_claims");
    const { id, rol, slg } = o as Claims;
    return organization(id, rol, slg);
  }
  if (v !== 1) throw new SessionRefused("bad_claims");
  if (claims.org_id === undefined || claims.org_id === null) return null;
  return organization(claims.org_id, claims.org_role, claims.org_slug);
}

function organization(id: unknown, role: unknown, slug: unknown): SessionClaims["organization"] {
  if (typeof id !== "string" || !ORG_ID.test(id)) throw new SessionRefused("bad_claims");
  if (typeof role !== "string" || !ROLE.test(role)) throw new SessionRefused("bad_claims");
  return { id, role: roleKey(role), slug: text(slug) };
}

const TEXT_CHARS_MAX = 200;

/** Somebody's words as one line without control characters, of at most 200 characters; null when nothing is left. */
export function text(value: unknown): string | null {
  if (typeof value !== "string") return null;
  const line = value.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]+/gu, " ").trim();
  return line === "" ? null : [...line].slice(0, TEXT_CHARS_MAX).join("");
}
