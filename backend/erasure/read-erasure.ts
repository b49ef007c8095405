import { api, ErrCode, type Header } from "encore.dev/api";
import { auditKeys, signingKey } from "../audit/audit-keys";
import { tenant } from "../db/tenant";
import { notFound, problem } from "../lib/errors";
import { isId } from "../lib/ids";
import { caller } from "../organizations/caller";
import { type Erasure, hashToken, orgOfToken, readErasure } from "./erasure";
import { publicKeyOf } from "./sign";

interface ErasureView {
  id: string;
  subject: "person" | "organization";
  person_id: string | null;
  state: "running" | "done";
  /** Where it is: `stop`, `words`, `memory`, `rest` for a person, `stop`, `letta`, `database` for an organization. */
  step: string;
  /** What has been removed so far, by kind. */
  counts: Record<string, number>;
  requested_at: string;
  ended_at: string | null;
  /** Once it is done: canonical JSON (RFC 8785), as a text, because the signature is over its very bytes. */
  receipt: string | null;
  /** Base64 of the Ed25519 signature over the receipt's bytes. GET /erasure-receipt/public-key has the key. */
  signature: string | null;
}

/** How far an erasure is, and once it is done its signed receipt. For owners and admins. */
export const getErasure = api(
  { expose: true, auth: true, method: "GET", path: "/erasure/:id" },
  async ({ id }: { id: string }): Promise<ErasureView> => {
    const { orgID } = caller();
    const erasure = isId("erasure", id) ? await tenant(orgID, (tx) => readErasure(tx, orgID, id)) : null;
    if (!erasure) throw notFound("erasure");
    return shown(erasure);
  },
);

interface ReceiptRequest {
  /** The `receipt_token` that POST /erasure answered. */
  receipt_token: Header<"X-Receipt-Token">;
}

/** The same for whoever has the erasure's token, and needs no key: also when the organization is gone. */
export const getErasureReceipt = api(
  { expose: true, method: "GET", path: "/erasure-receipt" },
  async ({ receipt_token: token }: ReceiptRequest): Promise<ErasureView> => {
    const orgId = orgOfToken(token);
    const erasure = orgId === null ? null : await byToken(orgId, token);
    if (!erasure) {
      throw problem(
        ErrCode.NotFound,
        "erasure_not_found",
        "There is no such erasure.",
        "Send the receipt_token that POST /erasure answered.",
        {
          context: null,
        },
      );
    }
    return shown(erasure);
  },
);

interface PublicKeyResponse {
  /** PEM. */
  public_key: string;
  key_id: string;
  /** Keys that signed before, where the server's audit key was replaced. */
  earlier: { public_key: string; key_id: string }[];
}

/** The key by which receipts can be checked without asking the server again: Ed25519. */
export const erasurePublicKey = api(
  { expose: true, method: "GET", path: "/erasure-receipt/public-key" },
  async (): Promise<PublicKeyResponse> => {
    const now = signingKey();
    return {
      public_key: publicKeyOf(now.key),
      key_id: now.id,
      earlier: auditKeys()
        .slice(1)
        .map(({ id, key }) => ({ public_key: publicKeyOf(key), key_id: id })),
    };
  },
);

async function byToken(orgId: string, token: string): Promise<Erasure | null> {
  return tenant(orgId, async (tx) => {
    const row = await tx.queryRow<{ id: string }>`
      select id from erasures where org_id = ${orgId} and token_hash = ${hashToken(token)}`;
    return row && readErasure(tx, orgId, row.id);
  });
}

function shown(erasure: Erasure): ErasureView {
  const { id, person_id, state, step, counts, requested_at, ended_at, receipt, signature } = erasure;
  return {
    id,
    subject: person_id === null ? "organization" : "person",
    person_id,
    state,
    step,
    counts,
    requested_at: requested_at.toISOString(),
    ended_at: ended_at?.toISOString() ?? null,
    receipt,
    signature,
  };
}
