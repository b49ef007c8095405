import { appendAudit, SYSTEM } from "../audit/append-audit";
import { signingKey } from "../audit/audit-keys";
import type { Tx } from "../db/tenant";
import { canonicalJson } from "../lib/canonical-json";
import type { Erasure } from "./erasure";
import { readErasure } from "./erasure";
import { signText } from "./sign";

/** Ends an erasure: what was removed, when and at whose request, signed. The text is canonical JSON, and the signature is over its bytes. */
export async function writeReceipt(tx: Tx, { org_id, id }: Pick<Erasure, "org_id" | "id">): Promise<void> {
  const erasure = await readErasure(tx, org_id, id);
  const now = await tx.queryRow<{ at: Date }>`select now() as at`;
  if (!erasure || !now) throw new Error("the erasure is not there");
  const { key, id: keyId } = signingKey();
  const receipt = canonicalJson({
    format: "graphyn-erasure-receipt-1",
    erasure_id: id,
    organization_id: org_id,
    subject: erasure.person_id === null ? "organization" : "person",
    person_id: erasure.person_id,
    requested_by: erasure.requested_by,
    requested_at: erasure.requested_at.toISOString(),
    ended_at: now.at.toISOString(),
    counts: erasure.counts,
    key_id: keyId,
  });
  await tx.exec`
    update erasures set state = 'done', ended_at = ${now.at}::timestamptz, receipt = ${receipt}, signature = ${signText(receipt, key)}
    where org_id = ${org_id} and id = ${id} and state = 'running'`;
  if (erasure.person_id === null) return; // its log is gone with it
  const target = { type: "person", id: erasure.person_id };
  await appendAudit(tx, { orgId: org_id, actor: SYSTEM, action: "erasure.completed", target, change: { erasure: id } });
}
