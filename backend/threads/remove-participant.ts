import { api, type Header } from "encore.dev/api";
import type { Tx } from "../db/tenant";
import { notFound } from "../lib/errors";
import type { LogEntry } from "../lib/events";
import { marked, runOnce } from "../lib/idempotency";
import { caller } from "../organizations/caller";
import { auditThread, changedSeats, seatOf } from "./audit-thread";
import { replaceHost } from "./change-role";
import { inThread, requireLockedThread, requireThread } from "./in-thread";
import { left } from "./join-thread";
import { publish } from "./live/channels";
import { appendLog } from "./log";
import type { ParticipantsResponse } from "./participants";
import { requireMay } from "./roles";

interface RemoveParticipantRequest {
  id: string;
  participantId: string;
  /** Who is host from now on, by participant id: needed to remove the last host. */
  new_host?: string;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

/** Removes a participant. What they said stays; an agent's running turn is finished, and it gets no further ones. */
export const removeParticipant = api(
  { expose: true, auth: true, method: "DELETE", path: "/threads/:id/participants/:participantId" },
  async ({ id, participantId, new_host, ...req }: RemoveParticipantRequest): Promise<ParticipantsResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    let entries: LogEntry[] = [];
    const remove = async (tx: Tx): Promise<ParticipantsResponse> => {
      // The lock first, as everybody takes it: else erasing the thread and this wait for each other.
      const state = await requireLockedThread(tx, orgID, id);
      const target = state.context.participants.find((p) => p.id === participantId);
      requireMay(state, who, target?.user_id === who.userID ? "leave" : "remove");
      if (!target) throw notFound("participant");
      const promoted = await replaceHost(tx, { orgId: orgID, threadId: id, state, who, target, newHost: new_host });
      await tx.exec`
        update participants set left_at = now()
        where org_id = ${orgID} and thread_id = ${id} and id = ${participantId} and left_at is null`;
      const said = await appendLog(tx, orgID, id, left(target));
      entries = [...promoted, ...said];
      const { context } = await requireThread(tx, orgID, id);
      await auditThread(tx, who, id, "thread.participant_removed", {
        removed: seatOf(target),
        participants: changedSeats(state.context.participants, context.participants),
      });
      return { participants: context.participants, context };
    };
    const request = ["DELETE /threads/:id/participants/:participantId", id, participantId, new_host ?? null];
    const once = { orgId: orgID, caller: userID, key: req.idempotency_key, request, threadId: id };
    const removed = await inThread(who, id, (tx) => runOnce(tx, once, () => remove(tx)));
    publish(orgID, id, entries);
    return marked(removed);
  },
);
