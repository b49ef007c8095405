import { api } from "encore.dev/api";
import type { MaxLen, MinLen } from "encore.dev/validate";
import { tenant } from "../db/tenant";
import { newId } from "../lib/ids";
import { caller } from "../organizations/caller";
import { joinThread } from "./join-thread";
import { readThread, type ThreadContext } from "./thread-context";
import { type Thread, threadView } from "./thread-view";
import { prepareConversations } from "./turns/conversation";

interface CreateThreadRequest {
  title?: string & MinLen<1> & MaxLen<500>;
  /** Yours to choose, for lists; `conversation` by default. */
  type?: string & MinLen<1> & MaxLen<50>;
  /** Agents who take part, by id. */
  agents?: string[] & MaxLen<50>;
  /** People who take part besides you, by user id. */
  people?: string[] & MaxLen<50>;
}

interface CreateThreadResponse {
  thread: Thread;
  context: ThreadContext;
}

/** Begins a conversation. Whoever calls takes part in it; each participant's joining is in its log. */
export const createThread = api(
  { expose: true, auth: true, method: "POST", path: "/threads" },
  async ({
    title,
    type = "conversation",
    agents = [],
    people = [],
  }: CreateThreadRequest): Promise<CreateThreadResponse> => {
    const { orgID, userID } = caller();
    const id = newId("thread");
    const state = await tenant(orgID, async (tx) => {
      await tx.exec`
        insert into threads (org_id, id, title, type, created_by) values (${orgID}, ${id}, ${title ?? null}, ${type}, ${userID})`;
      await joinThread(tx, orgID, id, { people: [userID], agents: [], role: "host" });
      await joinThread(tx, orgID, id, { people, agents });
      return { thread: await threadView(tx, orgID, id), state: await readThread(tx, orgID, id) };
    });
    if (!state.thread || !state.state) throw new Error("the thread is not there after it was made");
    prepareConversations(orgID, id, state.state.agents);
    return { thread: state.thread, context: state.state.context };
  },
);
