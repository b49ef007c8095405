import { api, ErrCode, type Header } from "encore.dev/api";
import { secret } from "encore.dev/config";
import type { Max, Min } from "encore.dev/validate";
import { actorOf, appendAudit } from "../audit/append-audit";
import { type Tx, tenant } from "../db/tenant";
import { notFound, problem } from "../lib/errors";
import { marked, runOnce } from "../lib/idempotency";
import { whole } from "../lib/whole";
import type { Caller } from "./authenticate";
import { adminCaller, caller } from "./caller";
import { requireScope } from "./enforce-policy";
import { insertKey, KEY_DAYS_DEFAULT } from "./insert-key";
import { isAdminForOther, requireNoMore } from "./key-limits";
import type { Role } from "./policy";
import { allows } from "./scopes";

const apiKeyHashKey = secret("ApiKeyHashKey");
/** Long enough to put the new key where the old one stands, and short enough that nobody forgets it. */
const OVERLAP_MINUTES_DEFAULT = 60;

interface RotateApiKeyRequest {
  id: string;
  /** How long the old key still works: 0 is not at all, at most a week; 60 by default. It never works longer than it would have. */
  overlap_minutes?: number & (Min<0> & Max<10080>);
  /** Days until the new key expires; 90 by default. A key that rotates itself, and makes no keys else, makes none that lives longer than it was made for. */
  days?: number & (Min<1> & Max<365>);
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface RotateApiKeyResponse {
  /** The new key's id: name, person, scopes and limits are those of the old one. */
  id: string;
  /** Shown once; only its hash is stored. */
  api_key: string;
  scopes: string[];
  expires_at: string;
  /** When the old key ends. */
  old_key_ends_at: string;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

interface OldKey {
  name: string;
  user_id: string;
  scopes: string[];
  /** As which it acts. */
  role: Role;
  /** Whole days it was made for, at least one. */
  lifetime_days: number;
  made_by_admin: boolean;
  ended: boolean;
  replaced_by: string | null;
}

/**
 * Makes a key in place of another, with its name, person and scopes, and held to its limits; the old one works on for the overlap. Every key
 * can rotate itself; others' are for owners and admins, and one that acts as an owner for owners.
 */
export const rotateApiKey = api(
  { expose: true, auth: true, method: "POST", path: "/api-keys/:id/rotate" },
  async ({ id, idempotency_key: key, ...req }: RotateApiKeyRequest): Promise<RotateApiKeyResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const { overlap_minutes = OVERLAP_MINUTES_DEFAULT, days = KEY_DAYS_DEFAULT } = req;
    whole("overlap_minutes", overlap_minutes);
    whole("days", days);
    if (id !== who.keyID) {
      adminCaller();
      requireScope(who, "keys:manage");
    }
    // The answer holds the key itself: kept for a retry, it is sealed, and given to nobody but the key that asked.
    const request = ["POST /api-keys/:id/rotate", who.keyID, id, overlap_minutes, days];
    const once = { orgId: orgID, caller: userID, key, request, sealWith: apiKeyHashKey() };
    const rotated = await tenant(orgID, (tx) =>
      runOnce(tx, once, () => rotate(tx, who, { id, overlapMinutes: overlap_minutes, days })),
    );
    return marked(rotated);
  },
);

interface Rotation {
  id: string;
  overlapMinutes: number;
  days: number;
}

async function rotate(tx: Tx, who: Caller, { id, overlapMinutes, days }: Rotation): Promise<RotateApiKeyResponse> {
  const { orgID: orgId } = who;
  const old = await tx.queryRow<OldKey>`
    select k.name, k.user_id, k.scopes, case when k.made_by_admin and m.role = 'owner' then 'admin' else m.role end as role, k.made_by_admin,
      k.replaced_by, k.revoked_at is not null or k.expires_at <= now() as ended,
      greatest(1, floor(extract(epoch from k.expires_at - k.created_at) / 86400))::int as lifetime_days
    from api_keys k join members m using (org_id, user_id)
    where k.org_id = ${orgId} and k.id = ${id} for update of k`;
  if (!old) throw notFound("API key");
  if (old.ended || old.replaced_by !== null) throw keyEnded(old);
  if (id !== who.keyID) requireNoMore(who, old);
  const { name, user_id: userId, scopes } = old;
  const madeBy = id === who.keyID ? null : who.keyID;
  // A key made for a day is rid of that by no rotation of its own.
  const daysMax = makesKeys(who) ? days : Math.min(days, old.lifetime_days);
  const madeByAdmin = old.made_by_admin || isAdminForOther(who, userId);
  const hashSecret = apiKeyHashKey();
  const made = await insertKey(tx, { orgId, userId, name, scopes, days: daysMax, hashSecret, madeBy, madeByAdmin });
  const ends = await tx.queryRow<{ expires_at: Date }>`
    update api_keys
    set replaced_by = ${made.id}, expires_at = least(expires_at, now() + make_interval(mins => ${overlapMinutes}::int))
    where org_id = ${orgId} and id = ${id} returning expires_at`;
  const old_key_ends_at = ends?.expires_at.toISOString() ?? "";
  const target = { type: "key", id };
  const change = { new_key: made.id, user: userId, expires_at: made.expires_at, old_key_ends_at };
  await appendAudit(tx, { orgId, actor: actorOf(who), action: "key.rotated", target, change });
  return { ...made, old_key_ends_at };
}

/** Whether the caller could make a key of any length (POST /api-keys) just as well. */
function makesKeys({ role, scopes }: Caller): boolean {
  return (role === "owner" || role === "admin") && allows(scopes, "keys:manage");
}

function keyEnded({ replaced_by }: OldKey) {
  return problem(
    ErrCode.FailedPrecondition,
    "key_ended",
    replaced_by ? "Another key has taken this one's place already." : "This key has expired or was revoked.",
    replaced_by ? "Rotate the newer key: details.replaced_by." : "Make a new key: POST /api-keys.",
    { replaced_by, context: null },
  );
}
