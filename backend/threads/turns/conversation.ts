import log from "encore.dev/log";
import { lettaIdOf } from "../../agents/make-imported";
import { tenant } from "../../db/tenant";
import { forOrg } from "../../letta/for-org";
import { knowsAgent, rememberOpening } from "../../models/ask-ahead/ask-ahead";
import type { AgentSeat } from "../thread-context";
import { ASKS_AHEAD } from "./choose-source";

/** Conversations being made right now, so that a turn waits for the one that joining began instead of making another. */
const making = new Map<string, Promise<string>>();

/** Makes the Letta conversations of a thread's agents ahead of their first turns. Failing costs nothing: the turn tries again. */
export function prepareConversations(orgId: string, threadId: string, seats: AgentSeat[]): void {
  for (const seat of seats) {
    prepare(orgId, threadId, seat).catch((error) =>
      log.warn("a Letta conversation could not be prepared", {
        thread_id: threadId,
        agent_id: seat.agent_id,
        error: String(error),
      }),
    );
  }
}

/** So that the first turn, too, can be asked ahead: Letta has made the system message and its request will be like the agent's others. */
async function prepare(orgId: string, threadId: string, seat: AgentSeat): Promise<void> {
  const conversationId = await ensureConversation(orgId, threadId, seat);
  if (!ASKS_AHEAD || seat.ask_ahead === "off" || seat.letta_id === null || !knowsAgent(seat.letta_id)) return;
  const letta = await forOrg(orgId);
  const [opening, more] = await letta.conversations.messages(conversationId, { limit: 2, order: "asc" });
  if (opening?.kind === "system_message" && more === undefined) rememberOpening(conversationId, opening.text);
}

/** The Letta conversation in which this version of the agent hears this branch of the thread; made when there is none. */
export async function ensureConversation(orgId: string, threadId: string, seat: AgentSeat): Promise<string> {
  if (seat.letta_conversation_id !== null) return seat.letta_conversation_id;
  const key = `${orgId}/${threadId}/${seat.agent_version_id}/${seat.branch}`;
  const known = making.get(key) ?? make(orgId, threadId, seat).finally(() => making.delete(key));
  making.set(key, known);
  return known;
}

async function make(orgId: string, threadId: string, seat: AgentSeat): Promise<string> {
  const { agent_version_id: version, branch } = seat;
  const existing = await tenant(
    orgId,
    (tx) => tx.queryRow<{ letta_conversation_id: string }>`
      select letta_conversation_id from agent_conversations
      where org_id = ${orgId} and thread_id = ${threadId} and agent_version_id = ${version} and branch = ${branch}`,
  );
  if (existing) return existing.letta_conversation_id;

  const letta = await forOrg(orgId);
  const made = await letta.conversations.create(await lettaIdOf(orgId, seat));
  // Another process may have been faster; and the thread may be gone: then nobody will need it.
  const kept = await tenant(orgId, async (tx) => {
    await tx.exec`
      insert into agent_conversations (org_id, thread_id, agent_version_id, branch, letta_conversation_id)
      select ${orgId}, id, ${version}, ${branch}, ${made} from threads where org_id = ${orgId} and id = ${threadId}
      on conflict (org_id, thread_id, agent_version_id, branch) do nothing`;
    return tx.queryRow<{ letta_conversation_id: string }>`
      select letta_conversation_id from agent_conversations
      where org_id = ${orgId} and thread_id = ${threadId} and agent_version_id = ${version} and branch = ${branch}`;
  }).catch(async (error) => {
    await letta.conversations.delete(made).catch(() => undefined); // erased in this moment: nobody else knows of it
    throw error;
  });
  if (kept?.letta_conversation_id !== made) await letta.conversations.delete(made).catch(() => undefined);
  if (!kept) throw new Error("the thread is gone");
  return kept.letta_conversation_id;
}
