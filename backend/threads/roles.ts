import { ErrCode } from "encore.dev/api";
import type { Tx } from "../db/tenant";
import { invalid, problem } from "../lib/errors";
import type { Caller } from "../organizations/authenticate";
import { type ParticipantRole, type Standing, THREAD_ROLES, type ThreadAction } from "../organizations/policy";
import type { ThreadState } from "./thread-context";

export type { ParticipantRole, Standing, ThreadAction };

/** How a person stands to a thread. */
export function standingOf(state: ThreadState, userId: string): Standing {
  return state.context.participants.find((p) => p.user_id === userId)?.role ?? "outsider";
}

/**
 * Refuses a caller whose role does not allow the action. Owners and admins of the organization are never refused. A guest who is still shown
 * as host (a member until a moment ago, or from an archive) is a speaker.
 */
export function requireMay(state: ThreadState, who: Pick<Caller, "userID" | "role">, action: ThreadAction): void {
  if (who.role === "owner" || who.role === "admin") return;
  const standing = standingOf(state, who.userID);
  requireStanding(state, who.role === "guest" && standing === "host" ? "speaker" : standing, action);
}

/** Refuses a standing that does not allow the action. */
export function requireStanding(state: ThreadState, standing: Standing, action: ThreadAction): void {
  if (THREAD_ROLES[standing][action]) return;
  const allowed = (Object.keys(THREAD_ROLES) as Standing[]).filter((role) => THREAD_ROLES[role][action]);
  throw problem(
    ErrCode.PermissionDenied,
    "role_not_allowed",
    `${action}: a thread's ${standing} may not do this.`,
    standing === "outsider"
      ? "Ask somebody of the thread to add you (details.hosts), or use a key of an owner or admin of the organization."
      : "Ask a host of the thread (details.hosts) to do it or to change the role, or use a key of an owner or admin of the organization.",
    { action, role: standing, allowed_roles: allowed, hosts: hostsOf(state).map((host) => host.user_id) },
  );
}

/**
 * Refuses a caller who brings guests of the organization into a thread without being allowed to ask guests in: they would read all of it,
 * and be of another organization.
 */
export async function requireMayBring(tx: Tx, state: ThreadState, who: Caller, people: string[]): Promise<void> {
  const here = new Set(state.context.participants.map((p) => p.user_id));
  const coming = people.filter((id) => !here.has(id));
  if (coming.length === 0) return;
  const guests = await guestsAmong(tx, who.orgID, coming);
  if (guests.size > 0) requireMay(state, who, "invite_guests");
}

/** Those who are guests of the organization. Nobody of them becomes one, or ceases to be one, before this transaction ends. */
export async function guestsAmong(tx: Tx, orgId: string, people: (string | null)[]): Promise<Set<string | null>> {
  const members = await tx.queryAll<{ id: string; role: string }>`
    select user_id as id, role from members
    where org_id = ${orgId} and user_id = any(${people}::text[]) order by user_id for share`;
  return new Set(members.filter(({ role }) => role === "guest").map(({ id }) => id));
}

/** Refuses guests as hosts: a host asks in whom they want, and removes whom they want. The database refuses them too (41_no_guest_hosts.up.sql). */
export async function requireNoGuests(tx: Tx, orgId: string, people: (string | null)[]): Promise<void> {
  if ((await guestsAmong(tx, orgId, people)).size > 0) throw guestIsNoHost();
}

export function guestIsNoHost() {
  return invalid(
    "guest_is_no_host",
    "role: a guest of the organization cannot be a thread's host.",
    "Guests are speakers or listeners; name a member.",
  );
}

/** Writes a participant's role down: to be told in the log by whoever changes it, under the thread's lock. */
export async function storeRole(
  tx: Tx,
  orgId: string,
  threadId: string,
  participantId: string,
  role: ParticipantRole,
): Promise<void> {
  await tx.exec`
    update participants set role = ${role}
    where org_id = ${orgId} and thread_id = ${threadId} and id = ${participantId} and left_at is null`;
}

/** The thread's hosts, in the order they came. */
export function hostsOf(state: ThreadState) {
  return state.context.participants.filter((p) => p.role === "host");
}
