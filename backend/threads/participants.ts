import { api } from "encore.dev/api";
import type { MaxLen } from "encore.dev/validate";
import { invalid } from "../lib/errors";
import { caller } from "../organizations/caller";
import { inThread, requireLockedThread, requireThread } from "./in-thread";
import { joinThread } from "./join-thread";
import { publish } from "./live/channels";
import { type ParticipantRole, requireMay, standingOf } from "./roles";
import type { ParticipantView, ThreadContext } from "./thread-context";
import { prepareConversations } from "./turns/conversation";

interface AddParticipantsRequest {
  id: string;
  /** People, by user id. */
  people?: string[] & MaxLen<50>;
  /** Agents, by id. */
  agents?: string[] & MaxLen<50>;
  /** What they become: `speaker` by default. `listener` hears and says nothing; `host` takes a host, and is for people. */
  role?: "host" | "speaker" | "listener";
}

export interface ParticipantsResponse {
  participants: ParticipantView[];
  context: ThreadContext;
}

/** Adds people and agents to a thread. Who takes part already is left as they are. Who takes no part can add themself, as a listener. */
export const addParticipants = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/participants" },
  async ({ id, people = [], agents = [], role }: AddParticipantsRequest): Promise<ParticipantsResponse> => {
    const who = caller();
    const { orgID } = who;
    const { entries, state } = await inThread(orgID, id, async (tx) => {
      const before = await requireLockedThread(tx, orgID, id);
      if (people.length + agents.length === 0) {
        throw invalid("nobody_named", "Nobody was named.", "Give people (user ids) or agents (agent ids).");
      }
      const themself = agents.length === 0 && people.every((person) => person === who.userID);
      const joins = themself && (role ?? "listener") === "listener" && standingOf(before, who.userID) === "outsider";
      requireMay(before, who, joins ? "join" : "invite");
      if (role === "host") requireMay(before, who, "change_roles");
      const joined = await joinThread(tx, orgID, id, { people, agents, role: roleOf(role, joins, who.role) });
      return { entries: joined, state: await requireThread(tx, orgID, id) };
    });
    publish(orgID, id, entries);
    prepareConversations(orgID, id, state.agents);
    return { participants: state.context.participants, context: state.context };
  },
);

/** Whoever comes uninvited listens; owners and admins of the organization speak wherever they come. */
function roleOf(asked: ParticipantRole | undefined, joins: boolean, inOrganization: string): ParticipantRole {
  if (asked !== undefined) return asked;
  return joins && inOrganization !== "owner" && inOrganization !== "admin" ? "listener" : "speaker";
}

/** Who takes part in a thread now. */
export const listParticipants = api(
  { expose: true, auth: true, method: "GET", path: "/threads/:id/participants" },
  async ({ id }: { id: string }): Promise<ParticipantsResponse> => {
    const { orgID } = caller();
    const { context } = await inThread(orgID, id, (tx) => requireThread(tx, orgID, id));
    return { participants: context.participants, context };
  },
);
