import { api, type Header } from "encore.dev/api";
import type { MaxLen } from "encore.dev/validate";
import type { Tx } from "../db/tenant";
import { invalid } from "../lib/errors";
import type { LogEntry } from "../lib/events";
import { marked, runOnce } from "../lib/idempotency";
import { caller } from "../organizations/caller";
import { auditThread, changedSeats } from "./audit-thread";
import { inThread, lookInThread, requireLockedThread, requireThread } from "./in-thread";
import { joinThread } from "./join-thread";
import { publish } from "./live/channels";
import { type ParticipantRole, requireMay, requireMayBring, standingOf } from "./roles";
import type { AgentSeat, ParticipantView, ThreadContext } from "./thread-context";
import { prepareConversations } from "./turns/conversation";

interface AddParticipantsRequest {
  id: string;
  /** People, by user id. */
  people?: string[] & MaxLen<50>;
  /** Agents, by id. */
  agents?: string[] & MaxLen<50>;
  /** What they become: `speaker` by default. `listener` hears and says nothing; `host` takes a host, and is for people. */
  role?: "host" | "speaker" | "listener";
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

export interface ParticipantsResponse {
  participants: ParticipantView[];
  context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Adds people and agents to a thread. Who takes part already is left as they are. Who takes no part can add themself, as a listener. */
export const addParticipants = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/participants" },
  async ({ id, idempotency_key: key, ...req }: AddParticipantsRequest): Promise<ParticipantsResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const { people = [], agents = [], role } = req;
    let entries: LogEntry[] = [];
    let seats: AgentSeat[] = [];
    const add = async (tx: Tx): Promise<ParticipantsResponse> => {
      const before = await requireLockedThread(tx, orgID, id);
      if (people.length + agents.length === 0) {
        throw invalid("nobody_named", "Nobody was named.", "Give people (user ids) or agents (agent ids).");
      }
      const themself = agents.length === 0 && people.every((person) => person === who.userID);
      const joins = themself && (role ?? "listener") === "listener" && standingOf(before, who.userID) === "outsider";
      requireMay(before, who, joins ? "join" : "invite");
      if (role === "host") requireMay(before, who, "change_roles");
      await requireMayBring(tx, before, who, people);
      entries = await joinThread(tx, orgID, id, { people, agents, role: roleOf(role, joins, who.role) });
      const { context, agents: here } = await requireThread(tx, orgID, id);
      seats = here;
      const participants = changedSeats(before.context.participants, context.participants);
      if (participants.length > 0) await auditThread(tx, who, id, "thread.participants_added", { participants });
      return { participants: context.participants, context };
    };
    const request = ["POST /threads/:id/participants", id, req];
    const once = { orgId: orgID, caller: userID, key, request, threadId: id };
    const added = await inThread(who, id, (tx) => runOnce(tx, once, () => add(tx)));
    publish(orgID, id, entries);
    prepareConversations(orgID, id, seats);
    return marked(added);
  },
);

/** Whoever comes uninvited listens; owners and admins of the organization speak wherever they come. */
function roleOf(asked: ParticipantRole | undefined, joins: boolean, inOrganization: string): ParticipantRole {
  if (asked !== undefined) return asked;
  return joins && inOrganization !== "owner" && inOrganization !== "admin" ? "listener" : "speaker";
}

interface ListParticipantsResponse {
  participants: ParticipantView[];
  context: ThreadContext;
}

/** Who takes part in a thread now. */
export const listParticipants = api(
  { expose: true, auth: true, method: "GET", path: "/threads/:id/participants" },
  async ({ id }: { id: string }): Promise<ListParticipantsResponse> => {
    const who = caller();
    const { orgID } = who;
    const { context } = await lookInThread(who, id, (tx) => requireThread(tx, orgID, id));
    return { participants: context.participants, context };
  },
);
