import { api, type Header } from "encore.dev/api";
import type { MaxLen, MinLen } from "encore.dev/validate";
import { type Tx, tenant } from "../db/tenant";
import { marked, runOnce } from "../lib/idempotency";
import { newId } from "../lib/ids";
import { caller } from "../organizations/caller";
import { auditThread, changedSeats } from "./audit-thread";
import { requireLockedThread } from "./in-thread";
import { joinThread } from "./join-thread";
import { type AgentSeat, readThread, type ThreadContext } from "./thread-context";
import { anySetting, changeSettings } from "./thread-settings";
import { type Thread, threadView } from "./thread-view";
import { prepareConversations } from "./turns/conversation";
import type { WhenBusy } from "./turns/when-busy";

interface CreateThreadRequest {
  title?: string & MinLen<1> & MaxLen<500>;
  /** Yours to choose, for lists; `conversation` by default. */
  type?: string & MinLen<1> & MaxLen<50>;
  /** Agents who take part, by id. */
  agents?: string[] & MaxLen<50>;
  /** People who take part besides you, by user id. */
  people?: string[] & MaxLen<50>;
  /**
   * Which agents answer a message: `all` (default), only those `mentioned`, one after the other (`round_robin`), or one `coordinator`. In
   * every policy an agent that addresses another with @Name hands it the word.
   */
  turn_policy?: "all" | "mentioned" | "round_robin" | "coordinator";
  /** The agent that answers everything with the policy `coordinator`: one of the thread's agents. */
  coordinator_id?: string & MaxLen<64>;
  /** How far agents may go on among themselves after one message of a person; what is left out stays as it is. */
  exchange_limits?: {
    /** How often the word goes from agent to agent in a row: 0 to 64, 8 by default. */
    hops?: number;
    /** Answers, those to the person included: 0 to 256, 32 by default. */
    turns?: number;
    /** Tokens of prompts and answers together: 0 to 10 000 000, 200 000 by default. */
    tokens?: number;
  };
  /** What a message does at an agent that is still answering, unless the message says otherwise; `enqueue` by default. */
  when_busy?: WhenBusy;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface CreateThreadResponse {
  thread: Thread;
  context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Begins a conversation. Whoever calls takes part in it; each participant's joining is in its log. */
export const createThread = api(
  { expose: true, auth: true, method: "POST", path: "/threads" },
  async ({ idempotency_key: key, ...req }: CreateThreadRequest): Promise<CreateThreadResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const { title, type = "conversation", agents = [], people = [], when_busy = "enqueue", ...settings } = req;
    const id = newId("thread");
    let seats: AgentSeat[] = [];
    const create = async (tx: Tx) => {
      await tx.exec`
        insert into threads (org_id, id, title, type, when_busy, created_by)
        values (${orgID}, ${id}, ${title ?? null}, ${type}, ${when_busy}, ${userID})`;
      await joinThread(tx, orgID, id, { people: [userID], agents: [], role: "host" });
      await joinThread(tx, orgID, id, { people, agents });
      if (anySetting(settings)) await changeSettings(tx, orgID, await requireLockedThread(tx, orgID, id), settings);
      const [thread, state] = [await threadView(tx, orgID, id), await readThread(tx, orgID, id)];
      if (!thread || !state) throw new Error("the thread is not there after it was made");
      seats = state.agents;
      await auditThread(tx, who, id, "thread.created", { participants: changedSeats([], state.context.participants) });
      return { thread, context: state.context };
    };
    const once = { orgId: orgID, caller: userID, key, request: ["POST /threads", req], threadId: id };
    const made = await tenant(orgID, (tx) => runOnce(tx, once, () => create(tx)));
    prepareConversations(orgID, id, seats);
    return marked(made);
  },
);
