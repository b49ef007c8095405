import { api, ErrCode, type Header } from "encore.dev/api";
import type { Tx } from "../db/tenant";
import { invalid, notFound, problem } from "../lib/errors";
import type { LogEntry } from "../lib/events";
import { marked, runOnce } from "../lib/idempotency";
import type { Caller } from "../organizations/authenticate";
import { caller } from "../organizations/caller";
import { THREAD_ROLES } from "../organizations/policy";
import { auditThread, changedSeats } from "./audit-thread";
import { inThread, requireLockedThread, requireThread } from "./in-thread";
import { hostIsAPerson, roleChanged } from "./join-thread";
import { publish } from "./live/channels";
import { appendLog } from "./log";
import type { ParticipantsResponse } from "./participants";
import { hostsOf, type ParticipantRole, requireMay, requireNoGuests, storeRole } from "./roles";
import type { ParticipantView, ThreadState } from "./thread-context";
import { requestCancel } from "./turns/cancel";

interface ChangeRoleRequest {
  id: string;
  participantId: string;
  role: "host" | "speaker" | "listener";
  /** Who is host from now on, by participant id: needed where the last host becomes something else. */
  new_host?: string;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

/**
 * Makes a participant a host, a speaker or a listener; for hosts. An agent that becomes a listener finishes what it is saying, and what it
 * was still to answer is cancelled.
 */
export const changeRole = api(
  { expose: true, auth: true, method: "PATCH", path: "/threads/:id/participants/:participantId" },
  async ({ id, participantId, role, new_host, ...req }: ChangeRoleRequest): Promise<ParticipantsResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    let entries: LogEntry[] = [];
    const change = async (tx: Tx): Promise<ParticipantsResponse> => {
      const state = await requireLockedThread(tx, orgID, id);
      requireMay(state, who, "change_roles");
      const target = state.context.participants.find((p) => p.id === participantId);
      if (!target) throw notFound("participant");
      if (role === "host" && target.kind === "agent") throw hostIsAPerson();
      const where = { orgId: orgID, threadId: id, state, who, target };
      const promoted = role === "host" ? [] : await replaceHost(tx, { ...where, newHost: new_host });
      const changed = target.role === role ? [] : await setRole(tx, where, target, role);
      entries = [...promoted, ...changed];
      const { context } = await requireThread(tx, orgID, id);
      const participants = changedSeats(state.context.participants, context.participants);
      if (participants.length > 0) await auditThread(tx, who, id, "thread.participant_role_changed", { participants });
      return { participants: context.participants, context };
    };
    const request = ["PATCH /threads/:id/participants/:participantId", id, participantId, role, new_host ?? null];
    const once = { orgId: orgID, caller: userID, key: req.idempotency_key, request, threadId: id };
    const changed = await inThread(who, id, (tx) => runOnce(tx, once, () => change(tx)));
    publish(orgID, id, entries);
    return marked(changed);
  },
);

interface Change {
  orgId: string;
  threadId: string;
  /** The thread, as it was locked. */
  state: ThreadState;
  who: Caller;
  /** Who will be host no more. */
  target: ParticipantView;
}

/**
 * Keeps the thread from losing its last host: makes `newHost` one, or refuses. Does nothing where another host stays and none is named, or
 * where `target` is no host. Returns the entries to publish after the commit.
 */
export async function replaceHost(
  tx: Tx,
  { newHost, ...change }: Change & { newHost: string | undefined },
): Promise<LogEntry[]> {
  const { state, who, target } = change;
  if (newHost !== undefined) {
    requireMay(state, who, "change_roles");
    const next = state.context.participants.find((p) => p.id === newHost && p.id !== target.id);
    if (!next) {
      throw invalid(
        "unknown_host",
        "new_host: this is no other participant of the thread.",
        "Give the participant id of a person who stays.",
      );
    }
    if (next.kind === "agent") throw hostIsAPerson();
    return next.role === "host" ? [] : setRole(tx, change, next, "host");
  }
  if (target.role !== "host" || hostsOf(state).length > 1) return [];
  throw problem(
    ErrCode.FailedPrecondition,
    "last_host",
    `${target.kind === "user" ? "This person" : "This participant"} is the thread's last host.`,
    "Name who is host from now on, by participant id: new_host. Or archive the thread.",
  );
}

async function setRole(
  tx: Tx,
  { orgId, threadId, state, who }: Change,
  participant: ParticipantView,
  role: ParticipantRole,
): Promise<LogEntry[]> {
  if (role === "host") await requireNoGuests(tx, orgId, [participant.user_id]);
  await storeRole(tx, orgId, threadId, participant.id, role);
  const entries = await appendLog(tx, orgId, threadId, roleChanged({ ...participant, role }));
  if (participant.agent_id === null || THREAD_ROLES[role].answer) return entries;
  const waiting = state.context.running_turns.filter(
    (turn) => turn.agent_id === participant.agent_id && turn.state === "queued",
  );
  const ids = waiting.map((turn) => turn.id);
  const cancelled = await requestCancel(tx, orgId, threadId, ids, { by: who.userID, reason: "asked" });
  return [...entries, ...cancelled.entries];
}
