import { ErrCode } from "encore.dev/api";
import { tenantSoon } from "../db/tenant";
import { type Bucket, makeBucket } from "../lib/bucket";
import { problem } from "../lib/errors";
import { hashKey, parseKey } from "./key-format";

export interface Caller {
  userID: string;
  orgID: string;
  role: "owner" | "admin" | "member" | "guest";
  userName: string;
  /** What it called with: an API key, or the session of a person who signed in. */
  via: "key" | "session";
  /** The API key used; null in a session. */
  keyID: string | null;
  /** When what it called with ends by itself, in milliseconds since 1970. */
  expiresAt: number;
  /** What it may do (scopes.ts): a key what it was made for; in a session everything that its role may. */
  scopes: string[];
}

/** How long a verified key is trusted without asking the database: a revoked key, or a changed role, opens nothing after this. */
const TRUST_MS = 2_000;
const CACHE_ENTRIES_MAX = 10_000;
/** `last_used_at` is for people to look at; it is kept to the minute. */
const LAST_USED_STEP = "1 minute";

/** How long an unknown key is refused without asking the database: such keys, well formed, cost whoever makes them up nothing. */
const REFUSE_MS = 5_000;

/**
 * Keys that the database did not know, in this process: so many at once, and so many a second, of the organization that they name and of
 * all together. Guessing 256 bits is hopeless in any case; this keeps somebody who tries from occupying the database. Keys that were good
 * here before are looked up all the same; those that were not yet (after a restart all) wait only for what is tried in their own
 * organization, unless somebody tries hundreds a second.
 */
const UNKNOWN_KEYS_OF_ORG = { size: 200, perSecond: 20 };
const UNKNOWN_KEYS_OF_ALL = { size: 2_000, perSecond: 500 };

const unknown = makeBucket(UNKNOWN_KEYS_OF_ALL);
const unknownOf = new Map<string, Bucket>();
const verified = new Map<string, { caller: Caller; until: number }>();
/** Until when each is refused, by the key's hash. */
const refused = new Map<string, number>();

/**
 * Who owns this API key, or null: unknown, expired and revoked are one answer.
 *
 * The key is looked up by its hash under a secret that the database does not have, so how long the index takes to compare depends on bytes that
 * nobody without the secret can choose or predict: it tells nothing of how much of a key was right.
 */
export async function authenticateKey(text: string, hashSecret: string): Promise<Caller | null> {
  const parsed = parseKey(text);
  if (!parsed) return null;
  const hash = hashKey(parsed.key, hashSecret);
  const cacheKey = hash.toString("base64");
  const known = verified.get(cacheKey);
  if (known && known.until > performance.now()) return known.caller;
  if ((refused.get(cacheKey) ?? 0) > performance.now()) return null;

  if (!known) refuseGuessing(parsed.orgId);
  const caller = await tenantSoon(parsed.orgId, async (tx) => {
    const row = await tx.queryRow<{
      id: string;
      user_id: string;
      role: Caller["role"];
      name: string;
      expires_at: Date;
      scopes: string[];
    }>`
      with key as (
        select k.id, k.user_id, case when k.made_by_admin and m.role = 'owner' then 'admin' else m.role end as role, u.name, k.scopes, k.expires_at, k.last_used_at
        from api_keys k join members m using (org_id, user_id) join users u on (u.org_id, u.id) = (k.org_id, k.user_id)
        where k.org_id = ${parsed.orgId} and k.hash = ${hash} and k.revoked_at is null and k.expires_at > now()
      ), used as (
        update api_keys k set last_used_at = now() from key
        where k.org_id = ${parsed.orgId} and k.id = key.id
          and (key.last_used_at is null or key.last_used_at < now() - ${LAST_USED_STEP}::text::interval)
      )
      select id, user_id, role, name, scopes, expires_at from key`;
    if (!row) return null;
    return {
      userID: row.user_id,
      orgID: parsed.orgId,
      role: row.role,
      userName: row.name,
      via: "key" as const,
      keyID: row.id,
      expiresAt: row.expires_at.getTime(),
      scopes: row.scopes,
    };
  });
  verified.delete(cacheKey);
  refused.delete(cacheKey);
  if (caller) remember(verified, cacheKey, { caller, until: performance.now() + TRUST_MS });
  else {
    remember(refused, cacheKey, performance.now() + REFUSE_MS);
    countGuess(parsed.orgId);
  }
  return caller;
}

function countGuess(orgId: string): void {
  const now = performance.now();
  const its = unknownOf.get(orgId) ?? makeBucket(UNKNOWN_KEYS_OF_ORG);
  if (!unknownOf.has(orgId)) remember(unknownOf, orgId, its);
  its.take(now);
  unknown.take(now);
}

function refuseGuessing(orgId: string): void {
  const now = performance.now();
  const wait = Math.max(unknown.wait(now), unknownOf.get(orgId)?.wait(now) ?? 0);
  if (wait === 0) return;
  throw problem(
    ErrCode.ResourceExhausted,
    "too_many_unknown_keys",
    "Too many API keys that do not exist were tried on this server.",
    `Try again after ${wait} ms, with a key that works.`,
    { retry_after_ms: wait },
  );
}

/** Keeps an entry, in place of the oldest once there are CACHE_ENTRIES_MAX. */
function remember<T>(cache: Map<string, T>, key: string, entry: T): void {
  if (cache.size >= CACHE_ENTRIES_MAX) cache.delete(cache.keys().next().value as string);
  cache.set(key, entry);
}
