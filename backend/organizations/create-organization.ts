import { api, ErrCode, type Header } from "encore.dev/api";
import { secret } from "encore.dev/config";
import type { MaxLen, MinLen } from "encore.dev/validate";
import { tenant } from "../db/tenant";
import { problem } from "../lib/errors";
import { newId } from "../lib/ids";
import { sameSecret } from "../lib/same-secret";
import { insertKey } from "./insert-key";

const adminKey = secret("AdminKey");
const apiKeyHashKey = secret("ApiKeyHashKey");

interface CreateOrganizationRequest {
  /** The operator's key (the secret AdminKey), not an API key. */
  admin_key: Header<"X-Admin-Key">;
  name: string & MinLen<1> & MaxLen<200>;
  /** Name of the first owner. */
  owner_name: string & MinLen<1> & MaxLen<200>;
}

interface CreateOrganizationResponse {
  organization_id: string;
  user_id: string;
  /** Shown once; only its hash is stored. */
  api_key: string;
}

/** Creates an organization with its first owner and an API key of theirs. For whoever operates the server. */
export const createOrganization = api(
  { expose: true, method: "POST", path: "/organizations" },
  async (req: CreateOrganizationRequest): Promise<CreateOrganizationResponse> => {
    if (!sameSecret(req.admin_key, adminKey())) {
      throw problem(
        ErrCode.PermissionDenied,
        "wrong_admin_key",
        "The admin key is not right.",
        "Send the server's AdminKey secret as the header X-Admin-Key.",
      );
    }
    const orgId = newId("org");
    const userId = newId("user");
    const key = await tenant(orgId, async (tx) => {
      await tx.exec`insert into organizations (org_id, name) values (${orgId}, ${req.name})`;
      await tx.exec`insert into users (org_id, id, name) values (${orgId}, ${userId}, ${req.owner_name})`;
      await tx.exec`insert into members (org_id, user_id, role) values (${orgId}, ${userId}, 'owner')`;
      return insertKey(tx, { orgId, userId, name: "first key", hashSecret: apiKeyHashKey() });
    });
    return { organization_id: orgId, user_id: userId, api_key: key.api_key };
  },
);
