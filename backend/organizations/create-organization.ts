import { api, type Header } from "encore.dev/api";
import { secret } from "encore.dev/config";
import type { MaxLen, MinLen } from "encore.dev/validate";
import { appendAudit, OPERATOR } from "../audit/append-audit";
import { tenant } from "../db/tenant";
import { keyReused, marked, runOnce } from "../lib/idempotency";
import { idOf, newId } from "../lib/ids";
import { sameSecret } from "../lib/same-secret";
import { wrongAdminKey } from "./admin-key";
import { insertKey } from "./insert-key";

const adminKey = secret("AdminKey");
const apiKeyHashKey = secret("ApiKeyHashKey");

interface CreateOrganizationRequest {
  /** The operator's key (the secret AdminKey), not an API key. */
  admin_key: Header<"X-Admin-Key">;
  name: string & MinLen<1> & MaxLen<200>;
  /** Name of the first owner. */
  owner_name: string & MinLen<1> & MaxLen<200>;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours; a key that made an organization makes no other. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface CreateOrganizationResponse {
  organization_id: string;
  user_id: string;
  /** Shown once; only its hash is stored. */
  api_key: string;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Creates an organization with its first owner and an API key of theirs. For whoever operates the server. */
export const createOrganization = api(
  { expose: true, method: "POST", path: "/organizations" },
  async (req: CreateOrganizationRequest): Promise<CreateOrganizationResponse> => {
    if (!sameSecret(req.admin_key, adminKey())) throw wrongAdminKey();
    const { name, owner_name, idempotency_key: key } = req;
    // No organization holds the operator's keys: so the key itself says which organization it makes, and that one holds it.
    const orgId = key === undefined ? newId("org") : idOf("org", `${apiKeyHashKey()} POST /organizations ${key}`);
    const request = ["POST /organizations", name, owner_name];
    const once = { orgId, caller: "operator", key, request, sealWith: apiKeyHashKey() };
    const made = await tenant(orgId, async (tx) => {
      const isNew = await tx.queryRow`
        insert into organizations (org_id, name) values (${orgId}, ${name}) on conflict (org_id) do nothing returning org_id`;
      return runOnce(tx, once, async () => {
        if (!isNew) throw keyReused(); // more than a day ago
        const userId = newId("user");
        await tx.exec`insert into users (org_id, id, name) values (${orgId}, ${userId}, ${owner_name})`;
        await tx.exec`insert into members (org_id, user_id, role) values (${orgId}, ${userId}, 'owner')`;
        const first = await insertKey(tx, { orgId, userId, name: "first key", hashSecret: apiKeyHashKey() });
        const target = { type: "organization", id: orgId };
        await appendAudit(tx, {
          orgId,
          actor: OPERATOR,
          action: "organization.created",
          target,
          change: { owner: userId, key: first.id },
        });
        return { organization_id: orgId, user_id: userId, api_key: first.api_key };
      });
    });
    return marked(made);
  },
);
