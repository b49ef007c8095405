import { api, type Header } from "encore.dev/api";
import { secret } from "encore.dev/config";
import type { Max, MaxLen, Min, MinLen } from "encore.dev/validate";
import { actorOf, appendAudit } from "../audit/append-audit";
import { type Tx, tenant, tenantPage } from "../db/tenant";
import { notFound } from "../lib/errors";
import { marked, runOnce } from "../lib/idempotency";
import { whole } from "../lib/whole";
import type { Amounts } from "../usage/limit";
import { changeLimit, readAmounts } from "../usage/store-limit";
import { adminCaller, caller } from "./caller";
import { requireOwner, requireScope } from "./enforce-policy";
import { insertKey, KEY_DAYS_DEFAULT } from "./insert-key";
import { checkScopes, isAdminForOther, requireNoMore } from "./key-limits";
import { requireMember } from "./require-member";

const apiKeyHashKey = secret("ApiKeyHashKey");
const KEYS_LISTED_MAX = 500;

interface ApiKey {
  id: string;
  name: string;
  user_id: string;
  /** The key's last four characters, to tell keys apart. */
  last_four: string;
  /** What it may do: `resource:action`, `resource:<id>:action`; `*` is everything. */
  scopes: string[];
  created_at: string;
  expires_at: string;
  last_used_at: string | null;
  revoked_at: string | null;
  /** The key that took its place (POST /api-keys/:id/rotate); this one works until expires_at. */
  replaced_by: string | null;
}

/** What a key may spend; what is left out does not limit. */
interface KeyLimits {
  /** Tokens of prompts and answers together. */
  tokens_per_minute?: number;
  tokens_per_month?: number;
  /** Requests that ask a model: messages that agents answer, edits, regenerations, searches. */
  requests_per_minute?: number;
  /** Millionths of a US dollar. Models without a known price do not count. */
  cost_micros_per_month?: number;
}

interface CreateApiKeyRequest {
  name: string & MinLen<1> & MaxLen<200>;
  /** Days until it expires; 90 by default. */
  days?: number & (Min<1> & Max<365>);
  /** For whom it acts; the caller by default. Their role bounds it too; made by an admin, it acts as no owner should they become one. */
  user_id?: string & MaxLen<64>;
  /** What it may do; all that the key used here may, by default. Never more than that. */
  scopes?: (string & MaxLen<100>)[];
  /** What it may spend, with the keys that take its place: as of PUT /limits/key/:id, which changes it later. */
  limits?: KeyLimits;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface StoredLimits {
  tokens_per_minute: number | null;
  tokens_per_month: number | null;
  requests_per_minute: number | null;
  cost_micros_per_month: number | null;
}

interface CreateApiKeyResponse {
  id: string;
  /** Shown once; only its hash is stored. */
  api_key: string;
  scopes: string[];
  /** Its own limits; null: none. */
  limits: StoredLimits | null;
  expires_at: string;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Makes an API key that acts for the caller, or for another person of the organization. It may no more than the key that makes it, and spend no more. */
export const createApiKey = api(
  { expose: true, auth: true, method: "POST", path: "/api-keys" },
  async (req: CreateApiKeyRequest): Promise<CreateApiKeyResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const { name, days = KEY_DAYS_DEFAULT, scopes = who.scopes, user_id = userID, idempotency_key: key } = req;
    whole("days", days);
    checkScopes(scopes);
    const limits: Amounts | null = req.limits ? readAmounts(req.limits) : null;
    // The answer holds the key itself: kept for a retry, it is sealed, and given to nobody but the key that made it.
    const request = ["POST /api-keys", who.keyID, name, days, scopes, user_id, ...(limits ? [limits] : [])];
    const once = { orgId: orgID, caller: userID, key, request, sealWith: apiKeyHashKey() };
    const make = async (tx: Tx) => {
      requireNoMore(who, { scopes, role: await requireMember(tx, orgID, user_id) });
      const hashSecret = apiKeyHashKey();
      const madeByAdmin = isAdminForOther(who, user_id);
      const wanted = { orgId: orgID, userId: user_id, name, days, scopes, hashSecret, madeBy: who.keyID, madeByAdmin };
      const made = await insertKey(tx, wanted);
      if (limits) {
        await changeLimit(tx, { orgId: orgID, scope: "key", scopeId: made.id, amounts: limits, by: userID });
      }
      const target = { type: "key", id: made.id };
      const change = { user: user_id, expires_at: made.expires_at, scopes };
      const actor = actorOf(who);
      await appendAudit(tx, { orgId: orgID, actor, action: "key.created", target, change });
      if (limits) await appendAudit(tx, { orgId: orgID, actor, action: "limit.set", target, change: { ...limits } });
      return { ...made, limits };
    };
    const made = await tenant(orgID, (tx) => runOnce(tx, once, () => make(tx)));
    return marked(made);
  },
);

interface ListApiKeysResponse {
  api_keys: ApiKey[];
}

/** The organization's API keys, newest first, without the keys themselves. */
export const listApiKeys = api(
  { expose: true, auth: true, method: "GET", path: "/api-keys" },
  async (): Promise<ListApiKeysResponse> => {
    const { orgID } = caller();
    const rows = await tenantPage(
      orgID,
      (tx) => tx.queryAll<
        Omit<ApiKey, "created_at" | "expires_at" | "last_used_at" | "revoked_at"> & {
          created_at: Date;
          expires_at: Date;
          last_used_at: Date | null;
          revoked_at: Date | null;
        }
      >`
        select id, name, user_id, last_four, scopes, created_at, expires_at, last_used_at, revoked_at, replaced_by
        from api_keys where org_id = ${orgID} order by id desc limit ${KEYS_LISTED_MAX}`,
    );
    return {
      api_keys: rows.map((row) => ({
        ...row,
        created_at: row.created_at.toISOString(),
        expires_at: row.expires_at.toISOString(),
        last_used_at: row.last_used_at?.toISOString() ?? null,
        revoked_at: row.revoked_at?.toISOString() ?? null,
      })),
    };
  },
);

interface RevokeApiKeyRequest {
  id: string;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface RevokeApiKeyResponse {
  id: string;
  revoked: boolean;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Revokes an API key: it stops working within 5 seconds, everywhere, and so end the streams and WebSockets opened with it. Revoking it again changes nothing. Every key can end itself; others' are for owners and admins, and one that acts as an owner for owners. */
export const revokeApiKey = api(
  { expose: true, auth: true, method: "DELETE", path: "/api-keys/:id" },
  async ({ id, idempotency_key: key }: RevokeApiKeyRequest): Promise<RevokeApiKeyResponse> => {
    const who = caller();
    const { orgID, userID, keyID } = who;
    if (id !== keyID) {
      adminCaller();
      requireScope(who, "keys:manage");
    }
    const once = { orgId: orgID, caller: userID, key, request: ["DELETE /api-keys/:id", id] };
    const revoke = async (tx: Tx) => {
      const key = await tx.queryRow<{ acts_as_owner: boolean; revoked: boolean }>`
        select m.role = 'owner' and not k.made_by_admin as acts_as_owner, k.revoked_at is not null as revoked
        from api_keys k join members m using (org_id, user_id)
        where k.org_id = ${orgID} and k.id = ${id} for update of k`;
      if (!key) throw notFound("API key");
      // Where nobody signs in, owners have nothing but their keys: no admin locks them out.
      if (key.acts_as_owner && id !== keyID) requireOwner(who);
      if (!key.revoked) {
        await tx.exec`update api_keys set revoked_at = now() where org_id = ${orgID} and id = ${id}`;
        const target = { type: "key", id };
        await appendAudit(tx, { orgId: orgID, actor: actorOf(who), action: "key.revoked", target });
      }
      return { id, revoked: true };
    };
    return marked(await tenant(orgID, (tx) => runOnce(tx, once, () => revoke(tx))));
  },
);
