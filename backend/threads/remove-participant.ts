import { api } from "encore.dev/api";
import { notFound } from "../lib/errors";
import { caller } from "../organizations/caller";
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
}

/** Removes a participant. What they said stays; an agent's running turn is finished, and it gets no further ones. */
export const removeParticipant = api(
  { expose: true, auth: true, method: "DELETE", path: "/threads/:id/participants/:participantId" },
  async ({ id, participantId, new_host }: RemoveParticipantRequest): Promise<ParticipantsResponse> => {
    const who = caller();
    const { orgID } = who;
    const { entries, context } = await inThread(orgID, id, async (tx) => {
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
      return { entries: [...promoted, ...said], context: (await requireThread(tx, orgID, id)).context };
    });
    publish(orgID, id, entries);
    return { participants: context.participants, context };
  },
);
