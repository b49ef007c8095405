import { type AuditActor, type AuditEvent, appendAudit } from "../../audit/append-audit";
import { type Tx, tenant } from "../../db/tenant";

/** Says what has changed, for the organization's audit log. */
export type Tell = (event: Pick<AuditEvent, "action" | "target" | "change">) => void;

/** Whatever Clerk says is done in Clerk's name: who of its people wanted it so, it does not say. */
const CLERK: AuditActor = { kind: "system", id: "clerk" };

/** A transaction in which Clerk's word changes an organization. What `work` tells goes into the audit log at its end, behind all other locks. */
export async function inClerksName<T>(orgId: string, work: (tx: Tx, tell: Tell) => Promise<T>): Promise<T> {
  return tenant(orgId, async (tx) => {
    const told: Parameters<Tell>[0][] = [];
    const result = await work(tx, (event) => told.push(event));
    for (const event of told) await appendAudit(tx, { orgId, actor: CLERK, ...event });
    return result;
  });
}
