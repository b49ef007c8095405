import { ErrCode } from "encore.dev/api";
import { problem } from "../lib/errors";
import type { Caller } from "../organizations/authenticate";
import type { ThreadState } from "./thread-context";

/** What a participant is in a thread. Who begins it is its host; who is added is a speaker unless it is said. A host is a person. */
export type ParticipantRole = "host" | "speaker" | "listener";

/** As somebody of the organization stands to a thread; `outsider` takes no part in it. */
export type Standing = ParticipantRole | "outsider";

export type ThreadAction =
  /** Saying something. */
  | "speak"
  /** Being asked to answer, for an agent. */
  | "answer"
  | "react"
  /** Stopping an agent's turn. */
  | "cancel"
  /** Making another way to go on: edit, regenerate, fork, and what else begins from this thread's messages. */
  | "branch"
  /** Adding people and agents as speakers or listeners. */
  | "invite"
  /** Adding oneself, as a listener. */
  | "join"
  /** Removing oneself. */
  | "leave"
  /** Removing others. */
  | "remove"
  | "change_roles"
  /** Title, turn policy, coordinator, limits. */
  | "change_settings"
  /** Archiving and bringing back. */
  | "archive";

/**
 * Who may do what in a thread. Owners and admins of the organization may do everything, whatever their role in the thread; reading is
 * the organization's. This is the only place that says so.
 */
export const ROLES = {
  host: {
    speak: true,
    answer: true,
    react: true,
    cancel: true,
    branch: true,
    invite: true,
    join: false,
    leave: true,
    remove: true,
    change_roles: true,
    change_settings: true,
    archive: true,
  },
  speaker: {
    speak: true,
    answer: true,
    react: true,
    cancel: true,
    branch: true,
    invite: true,
    join: false,
    leave: true,
    remove: false,
    change_roles: false,
    change_settings: false,
    archive: false,
  },
  listener: {
    speak: false,
    answer: false,
    react: true,
    cancel: false,
    branch: false,
    invite: false,
    join: false,
    leave: true,
    remove: false,
    change_roles: false,
    change_settings: false,
    archive: false,
  },
  outsider: {
    speak: false,
    answer: false,
    react: false,
    cancel: false,
    branch: false,
    invite: false,
    join: true,
    leave: false,
    remove: false,
    change_roles: false,
    change_settings: false,
    archive: false,
  },
} as const satisfies Record<Standing, Record<ThreadAction, boolean>>;

/** How a person stands to a thread. */
export function standingOf(state: ThreadState, userId: string): Standing {
  return state.context.participants.find((p) => p.user_id === userId)?.role ?? "outsider";
}

/** Refuses a caller whose role does not allow the action. Owners and admins of the organization are never refused. */
export function requireMay(state: ThreadState, who: Pick<Caller, "userID" | "role">, action: ThreadAction): void {
  if (who.role === "owner" || who.role === "admin") return;
  requireStanding(state, standingOf(state, who.userID), action);
}

/** Refuses a standing that does not allow the action. */
export function requireStanding(state: ThreadState, standing: Standing, action: ThreadAction): void {
  if (ROLES[standing][action]) return;
  const allowed = (Object.keys(ROLES) as Standing[]).filter((role) => ROLES[role][action]);
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

/** The thread's hosts, in the order they came. */
export function hostsOf(state: ThreadState) {
  return state.context.participants.filter((p) => p.role === "host");
}
