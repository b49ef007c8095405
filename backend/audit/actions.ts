/**
 * Everything the audit log tells, as noun.what_happened. Add yours here; the database takes any of this form. A change has the ids and
 * figures that say what is so from now on.
 */
export type AuditAction =
  // The organization and its people
  | "organization.created"
  | "organization.changed"
  | "organization.closed"
  | "organization.imported"
  | "organization.exported"
  | "member.added"
  | "member.changed"
  | "member.role_changed"
  | "member.removed"
  | "guest.invited"
  | "guest.invitation_revoked"
  | "guest.added"
  | "guest.removed"
  // What programs use
  | "key.created"
  | "key.changed"
  | "key.rotated"
  | "key.revoked"
  // Agents and models
  | "agent.created"
  | "agent.version_created"
  | "agent.changed"
  | "agent.deleted"
  | "credential.set"
  | "credential.deleted"
  // Budgets
  | "limit.set"
  | "limit.deleted"
  | "price.set"
  // Who is in a thread and what holds there; not what is said
  | "thread.created"
  | "thread.changed"
  | "thread.archived"
  | "thread.unarchived"
  | "thread.deleted"
  | "thread.participants_added"
  | "thread.participant_removed"
  | "thread.participant_role_changed"
  // What needs somebody's consent
  | "approval.given"
  | "approval.refused"
  // Somebody of the operator's looked into the organization or changed something in it
  | "support.accessed"
  | "erasure.requested"
  | "erasure.completed"
  // An organization that was there before its log
  | "audit.began";

/** Actions that a chain may begin with. */
export const FIRST_ACTIONS: ReadonlySet<AuditAction> = new Set([
  "organization.created",
  "organization.imported",
  "audit.began",
]);
