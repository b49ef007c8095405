import log from "encore.dev/log";
import { type Tx, tenant } from "../../db/tenant";
import { forOrg } from "../../letta/for-org";
import { holdThread } from "../hold-thread";
import type { AgentSeat, ThreadState } from "../thread-context";
import { prepareConversations } from "../turns/conversation";
import type { NewThread } from "./new-thread-from";

/** How long whoever forks waits for the agents' memory. An agent whose memory comes later, or not at all, is told the conversation instead. */
const FORK_MS_MAX = 5_000;

/** An agent that remembers exactly what the new thread holds, and so can go on from there with all it remembers. */
export interface Remembering {
  seat: AgentSeat;
  conversationId: string;
  /** Its newest turn in the source; null when it had none. */
  lastTurn: string | null;
}

/** The agents of a thread that have heard all of its conversation and are at no turn. Run it under the thread's lock. */
export async function remembering(tx: Tx, orgId: string, state: ThreadState): Promise<Remembering[]> {
  const busy = new Set(state.context.running_turns.map((turn) => turn.agent_id));
  const found: Remembering[] = [];
  for (const seat of state.agents) {
    if (seat.letta_conversation_id === null || seat.heard_seq === 0 || seat.unheard || busy.has(seat.agent_id))
      continue;
    const lastTurn = await newestTurn(tx, orgId, state.context.thread.id, seat);
    found.push({ seat, conversationId: seat.letta_conversation_id, lastTurn });
  }
  return found;
}

interface Forking {
  orgId: string;
  sourceId: string;
  made: NewThread;
  agents: Remembering[];
}

/**
 * Gives the agents of a forked thread their memory, after its commit: Letta's own fork of what they remember of the source, with all that no
 * transcript tells (what they read, thought and called). Letta copies what the conversation has at that moment, so the fork counts only
 * if no turn of the agent has begun since, in either thread. Otherwise, and when Letta fails or this process dies, the agent has no
 * conversation there and is told the visible messages with its first turn (turns/catch-up.ts).
 */
export async function forkMemory({ orgId, sourceId, made, agents }: Forking): Promise<void> {
  const newId = made.state.context.thread.id;
  const forked = new Set(agents.map(({ seat }) => seat.agent_version_id));
  prepareConversations(
    orgId,
    newId,
    made.state.agents.filter((seat) => !forked.has(seat.agent_version_id)),
  );
  const forking = Promise.all(
    agents.map((agent) =>
      forkOne({ orgId, sourceId, made, agent }).catch((error) =>
        log.warn("an agent's memory could not be forked; it is told the conversation instead", {
          thread_id: newId,
          agent_id: agent.seat.agent_id,
          error: String(error),
        }),
      ),
    ),
  );
  let late: NodeJS.Timeout | undefined;
  const patience = new Promise((resolve) => {
    late = setTimeout(resolve, FORK_MS_MAX);
  });
  await Promise.race([forking, patience]);
  clearTimeout(late);
}

async function forkOne({
  orgId,
  sourceId,
  made,
  agent,
}: Omit<Forking, "agents"> & { agent: Remembering }): Promise<void> {
  const { seat, conversationId, lastTurn } = agent;
  const newThreadId = made.state.context.thread.id;
  const letta = await forOrg(orgId);
  const fork = await letta.conversations.fork(conversationId);
  const kept = await tenant(orgId, async (tx) => {
    // A turn begins under its thread's lock, Letta's part of it included: with both locks, none is beginning now.
    for (const id of [sourceId, newThreadId].sort()) await holdThread(tx, orgId, id);
    if ((await newestTurn(tx, orgId, sourceId, seat)) !== lastTurn) return false;
    if ((await newestTurn(tx, orgId, newThreadId, { ...seat, branch: 1 })) !== null) return false;
    const row = await tx.queryRow`
      insert into agent_conversations (org_id, thread_id, agent_version_id, branch, letta_conversation_id, heard_seq)
      select org_id, id, ${seat.agent_version_id}, 1, ${fork}, ${made.copiedUpTo}::bigint
      from threads where org_id = ${orgId} and id = ${newThreadId}
      on conflict do nothing returning 1 as kept`;
    return row !== null;
  }).catch(async (error) => {
    await letta.conversations.delete(fork).catch(() => undefined);
    throw error;
  });
  if (!kept) await letta.conversations.delete(fork).catch(() => undefined);
}

async function newestTurn(
  tx: Tx,
  orgId: string,
  threadId: string,
  { agent_version_id, branch }: Pick<AgentSeat, "agent_version_id" | "branch">,
): Promise<string | null> {
  const row = await tx.queryRow<{ id: string }>`
    select id from turns
    where org_id = ${orgId} and thread_id = ${threadId} and agent_version_id = ${agent_version_id} and branch = ${branch}::int
    order by id desc limit 1`;
  return row?.id ?? null;
}
