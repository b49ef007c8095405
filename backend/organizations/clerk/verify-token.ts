import { decodeJwt, verifyJwt } from "@clerk/backend/jwt";
import { readClaims, type SessionClaims } from "./read-claims";
import { type SessionRefusal, SessionRefused } from "./refusal";
import type { ClerkSettings } from "./settings";
import { signingKey } from "./signing-keys";

/** How far our clock and Clerk's may differ. */
export const CLOCK_SKEW_MS = 5_000;
const TOKEN_CHARS_MAX = 8_192;
/** Clerk signs with nothing else. A header that names another is refused before any key is touched. */
const ALGORITHM = "RS256";

/** What a session token says, once all is right with it. Asks nobody but, now and then, for Clerk's keys. Throws SessionRefused or KeysUnavailable. */
export async function verifyToken(token: string, settings: ClerkSettings): Promise<SessionClaims> {
  const header = readHeader(token);
  if (header.alg !== ALGORITHM) throw new SessionRefused("wrong_algorithm");
  if (header.typ !== undefined && header.typ !== "JWT") throw new SessionRefused("wrong_type");
  const key = await signingKey(settings, header.kid);
  const claims = await verifyJwt(token, {
    key,
    issuer: settings.issuer,
    authorizedParties: settings.authorizedParties,
    clockSkewInMs: CLOCK_SKEW_MS,
  }).catch((error: { reason?: string }) => {
    throw new SessionRefused(REFUSALS[error.reason ?? ""] ?? "bad_claims");
  });
  const read = readClaims(claims as unknown as Record<string, unknown>);
  return { ...read, expiresAt: read.expiresAt + CLOCK_SKEW_MS };
}

/** `@clerk/backend`'s words for it. */
const REFUSALS: Record<string, SessionRefusal> = {
  "token-invalid": "malformed",
  "token-invalid-algorithm": "wrong_algorithm",
  "token-invalid-signature": "wrong_signature",
  "token-invalid-issuer": "wrong_issuer",
  "token-invalid-authorized-parties": "wrong_party",
  "token-expired": "expired",
  "token-not-active-yet": "not_yet_valid",
  "token-iat-in-the-future": "not_yet_valid",
};

function readHeader(token: string): { alg?: unknown; typ?: unknown; kid?: unknown } {
  try {
    if (token.length > TOKEN_CHARS_MAX) throw new Error("too long");
    const { header, payload } = decodeJwt(token);
    if (!isObject(header) || !isObject(payload)) throw new Error("no objects");
    return header;
  } catch {
    throw new SessionRefused("malformed");
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
