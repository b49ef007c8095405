import { api } from "encore.dev/api";
import type { MaxLen } from "encore.dev/validate";
import { invalid, notFound } from "../lib/errors";
import { caller } from "../organizations/caller";
import { inThread, requireLockedThread, requireThread } from "./in-thread";
import { joinThread, presence } from "./join-thread";
import { publish } from "./live/channels";
import { appendLog } from "./log";
import type { ParticipantView, ThreadContext } from "./thread-context";
import { prepareConversations } from "./turns/conversation";

interface AddParticipantsRequest {
  id: string;
  /** People, by user id. */
  people?: string[] & MaxLen<50>;
  /** Agents, by id. */
  agents?: string[] & MaxLen<50>;
}

interface ParticipantsResponse {
  participants: ParticipantView[];
  context: ThreadContext;
}

/** Adds people and agents to a thread. Who takes part already is left as they are. */
export const addParticipants = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/participants" },
  async ({ id, people = [], agents = [] }: AddParticipantsRequest): Promise<ParticipantsResponse> => {
    const { orgID } = caller();
    const { entries, state } = await inThread(orgID, id, async (tx) => {
      await requireThread(tx, orgID, id);
      if (people.length + agents.length === 0) {
        throw invalid("nobody_named", "Nobody was named.", "Give people (user ids) or agents (agent ids).");
      }
      const joined = await joinThread(tx, orgID, id, { people, agents });
      return { entries: joined, state: await requireThread(tx, orgID, id) };
    });
    publish(orgID, id, entries);
    prepareConversations(orgID, id, state.agents);
    return { participants: state.context.participants, context: state.context };
  },
);

/** Who takes part in a thread now. */
export const listParticipants = api(
  { expose: true, auth: true, method: "GET", path: "/threads/:id/participants" },
  async ({ id }: { id: string }): Promise<ParticipantsResponse> => {
    const { orgID } = caller();
    const { context } = await inThread(orgID, id, (tx) => requireThread(tx, orgID, id));
    return { participants: context.participants, context };
  },
);

interface RemoveParticipantRequest {
  id: string;
  participantId: string;
}

/** Removes a participant. What they said stays; an agent's running turn is finished, and it gets no further ones. */
export const removeParticipant = api(
  { expose: true, auth: true, method: "DELETE", path: "/threads/:id/participants/:participantId" },
  async ({ id, participantId }: RemoveParticipantRequest): Promise<ParticipantsResponse> => {
    const { orgID } = caller();
    const { entries, context } = await inThread(orgID, id, async (tx) => {
      await requireLockedThread(tx, orgID, id); // first, as everybody takes it: else erasing the thread and this wait for each other
      const left = await tx.queryRow<{ id: string; kind: "user" | "agent"; name: string }>`
        update participants set left_at = now()
        where org_id = ${orgID} and thread_id = ${id} and id = ${participantId} and left_at is null
        returning id, kind, name`;
      if (!left) throw notFound("participant");
      const said = await appendLog(tx, orgID, id, presence("left", left));
      return { entries: said, context: (await requireThread(tx, orgID, id)).context };
    });
    publish(orgID, id, entries);
    return { participants: context.participants, context };
  },
);
