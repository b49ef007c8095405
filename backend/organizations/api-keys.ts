import { api, type Header } from "encore.dev/api";
import { secret } from "encore.dev/config";
import type { Max, MaxLen, Min, MinLen } from "encore.dev/validate";
import { type Tx, tenant } from "../db/tenant";
import { notFound } from "../lib/errors";
import { marked, runOnce } from "../lib/idempotency";
import { adminCaller, caller } from "./caller";
import { insertKey, KEY_DAYS_DEFAULT } from "./insert-key";

const apiKeyHashKey = secret("ApiKeyHashKey");
const KEYS_LISTED_MAX = 500;

interface ApiKey {
  id: string;
  name: string;
  user_id: string;
  /** The key's last four characters, to tell keys apart. */
  last_four: string;
  created_at: string;
  expires_at: string;
  last_used_at: string | null;
  revoked_at: string | null;
}

interface CreateApiKeyRequest {
  name: string & MinLen<1> & MaxLen<200>;
  /** Days until it expires; 90 by default. */
  days?: number & (Min<1> & Max<365>);
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface CreateApiKeyResponse {
  id: string;
  /** Shown once; only its hash is stored. */
  api_key: string;
  expires_at: string;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Makes an API key that acts for the caller. */
export const createApiKey = api(
  { expose: true, auth: true, method: "POST", path: "/api-keys" },
  async (req: CreateApiKeyRequest): Promise<CreateApiKeyResponse> => {
    const { orgID, userID } = adminCaller();
    const { name, days = KEY_DAYS_DEFAULT, idempotency_key: key } = req;
    const request = ["POST /api-keys", name, days];
    // The answer holds the key itself: kept for a retry, it is sealed.
    const once = { orgId: orgID, caller: userID, key, request, sealWith: apiKeyHashKey() };
    const made = await tenant(orgID, (tx) =>
      runOnce(tx, once, () => insertKey(tx, { orgId: orgID, userId: userID, name, days, hashSecret: apiKeyHashKey() })),
    );
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
    const { orgID } = adminCaller();
    const rows = await tenant(
      orgID,
      (tx) => tx.queryAll<
        Omit<ApiKey, "created_at" | "expires_at" | "last_used_at" | "revoked_at"> & Record<string, Date | null>
      >`
        select id, name, user_id, last_four, created_at, expires_at, last_used_at, revoked_at
        from api_keys where org_id = ${orgID} order by id desc limit ${KEYS_LISTED_MAX}`,
    );
    return {
      api_keys: rows.map((row) => ({
        id: row.id,
        name: row.name,
        user_id: row.user_id,
        last_four: row.last_four,
        created_at: (row.created_at as Date).toISOString(),
        expires_at: (row.expires_at as Date).toISOString(),
        last_used_at: (row.last_used_at as Date | null)?.toISOString() ?? null,
        revoked_at: (row.revoked_at as Date | null)?.toISOString() ?? null,
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

/** Revokes an API key: it stops working within 5 seconds, everywhere, and streams opened with it end within 20. Revoking it again changes nothing. */
export const revokeApiKey = api(
  { expose: true, auth: true, method: "DELETE", path: "/api-keys/:id" },
  async ({ id, idempotency_key: key }: RevokeApiKeyRequest): Promise<RevokeApiKeyResponse> => {
    const { orgID, userID, keyID } = caller();
    if (id !== keyID) adminCaller();
    const once = { orgId: orgID, caller: userID, key, request: ["DELETE /api-keys/:id", id] };
    const revoke = async (tx: Tx) => {
      const row = await tx.queryRow`
        update api_keys set revoked_at = coalesce(revoked_at, now()) where org_id = ${orgID} and id = ${id} returning id`;
      if (!row) throw notFound("API key");
      return { id, revoked: true };
    };
    return marked(await tenant(orgID, (tx) => runOnce(tx, once, () => revoke(tx))));
  },
);
