import { api, ErrCode, type Header } from "encore.dev/api";
import type { MaxLen, MinLen } from "encore.dev/validate";
import { actorOf, appendAudit } from "../../audit/append-audit";
import { tenant } from "../../db/tenant";
import { invalid, notFound, problem } from "../../lib/errors";
import { marked, runOnce } from "../../lib/idempotency";
import { caller } from "../../organizations/caller";
import { upstreams } from "./configured";
import { type Credential, canSeal, clearKey, keysChanged, readCredential, setKey } from "./credentials";

interface SetModelCredentialRequest {
  /** Name of an upstream: GET /models names those of each model. */
  upstream: string;
  /** The organization's own key for it. Kept encrypted, and never shown again. */
  api_key: string & MinLen<8> & MaxLen<4096>;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface ModelCredential {
  upstream: string;
  /** The key's last four characters, to tell keys apart. */
  last_four: string;
  /** Id of the person who set it. */
  updated_by: string;
  updated_at: string;
}

interface SetModelCredentialResponse extends ModelCredential {
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/**
 * Sets the organization's own key for an upstream, in place of the operator's. Within 5 seconds every request of the organization to that
 * upstream uses it. For owners and admins.
 */
export const setModelCredential = api(
  { expose: true, auth: true, method: "PUT", path: "/models/credentials/:upstream" },
  async ({
    upstream,
    api_key,
    idempotency_key: key,
  }: SetModelCredentialRequest): Promise<SetModelCredentialResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    checkUpstream(upstream);
    if (!/^[\x21-\x7e]+$/.test(api_key)) {
      throw invalid("bad_model_key", "This is no key.", "Send it as the provider shows it, without spaces around it.");
    }
    if (!canSeal()) {
      throw problem(
        ErrCode.FailedPrecondition,
        "no_secrets_key",
        "This server cannot keep keys of organizations.",
        "Whoever runs the server must set the secret OrgSecretsKey.",
      );
    }
    const request = ["PUT /models/credentials/:upstream", upstream, api_key];
    const set = await tenant(orgID, (tx) =>
      runOnce(tx, { orgId: orgID, caller: userID, key, request }, async () => {
        const credential = await setKey(tx, orgID, { upstream, apiKey: api_key, userId: userID });
        const target = { type: "credential", id: upstream };
        await appendAudit(tx, { orgId: orgID, actor: actorOf(who), action: "credential.set", target });
        return shown(credential);
      }),
    );
    keysChanged(orgID);
    return marked(set);
  },
);

/** Tells whether the organization has an own key for an upstream, and which, without the key. For owners and admins. */
export const getModelCredential = api(
  { expose: true, auth: true, method: "GET", path: "/models/credentials/:upstream" },
  async ({ upstream }: { upstream: string }): Promise<ModelCredential> => {
    const { orgID } = caller();
    const credential = await readCredential(orgID, upstream);
    if (credential === null) throw notFound("model credential");
    return shown(credential);
  },
);

interface DeleteModelCredentialRequest {
  upstream: string;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface DeleteModelCredentialResponse {
  upstream: string;
  deleted: boolean;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Removes the organization's own key for an upstream: the operator's is used again, where there is one. For owners and admins. */
export const deleteModelCredential = api(
  { expose: true, auth: true, method: "DELETE", path: "/models/credentials/:upstream" },
  async ({ upstream, idempotency_key: key }: DeleteModelCredentialRequest): Promise<DeleteModelCredentialResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const request = ["DELETE /models/credentials/:upstream", upstream];
    const deleted = await tenant(orgID, (tx) =>
      runOnce(tx, { orgId: orgID, caller: userID, key, request }, async () => {
        if (!(await clearKey(tx, orgID, upstream))) throw notFound("model credential");
        const target = { type: "credential", id: upstream };
        await appendAudit(tx, { orgId: orgID, actor: actorOf(who), action: "credential.deleted", target });
        return { upstream, deleted: true };
      }),
    );
    keysChanged(orgID);
    return marked(deleted);
  },
);

function checkUpstream(upstream: string): void {
  const names = upstreams().map(({ name }) => name);
  if (names.includes(upstream)) return;
  throw invalid("unknown_upstream", "There is no such upstream.", "Choose one of details.upstreams.", {
    upstreams: names,
  });
}

function shown({ updated_at, ...rest }: Credential): ModelCredential {
  return { ...rest, updated_at: updated_at.toISOString() };
}
