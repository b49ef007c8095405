import type { AuditAction } from "../audit/actions";
import { type AuditEvent, actorOf, appendAudit } from "../audit/append-audit";
import type { Tx } from "../db/tenant";
import type { Caller } from "../organizations/authenticate";
import type { ParticipantView } from "./thread-context";

/** Tells the audit log of a change of a thread: who is in it and what holds there. As the last thing that the transaction does. */
export async function auditThread(
  tx: Tx,
  who: Caller,
  threadId: string,
  action: Extract<AuditAction, `thread.${string}`>,
  change: AuditEvent["change"] = {},
): Promise<void> {
  // Turns that it ended are settled now and not at the commit: what counts them is locked before the end of the audit log's chain.
  await tx.exec`set constraints turns_settle immediate`;
  await appendAudit(tx, {
    orgId: who.orgID,
    actor: actorOf(who),
    action,
    target: { type: "thread", id: threadId },
    change,
  });
}

/** A participant, as the log names one: by ids, and what they are from now on. */
export function seatOf({ id, user_id, agent_id, role }: ParticipantView) {
  return { participant: id, ...(user_id === null ? { agent: agent_id } : { person: user_id }), role };
}

/** Those who are among `now` and were not before, or were something else. */
export function changedSeats(before: ParticipantView[], now: ParticipantView[]) {
  const roles = new Map(before.map(({ id, role }) => [id, role]));
  return now.filter(({ id, role }) => roles.get(id) !== role).map(seatOf);
}
