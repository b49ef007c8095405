/**
 * A turn may end without its being sure that Letta has stored it: Letta failed after the answer was shown, a stop came before the first
 * word, a process died. Before the agent's next turn Letta is asked what it has of such turns, and the agent is told what it lacks: the
 * message, or the last words of its own answer. So its memory is what people read, and nothing is told twice.
 */
import log from "encore.dev/log";
import { type Tx, tenant } from "../../db/tenant";
import { forOrg } from "../../letta/for-org";
import { LettaError, type LettaMessage } from "../../lib/letta-client";
import { holdThread } from "../hold-thread";
import { readThread } from "../thread-context";
import { tellAgent } from "./catch-up";
import type { TurnToRun } from "./run-turn";
import { SourceError } from "./turn-source";
import { lackingOf, messageOf, storedOf } from "./what-letta-has";

/** Turns looked at; of older ones the agent is told what the thread has. */
const TURNS_MAX = 20;
/** Messages of the conversation in one answer of Letta's, and how many such pages are read: after a compaction the newest need not come first. */
const PAGE_MESSAGES = 100;
const PAGES_MAX = 10;

interface Unsettled {
  id: string;
  message_seq: number;
  /** What the thread has of its answer. */
  answer: string;
}

/**
 * What the agent is told in this turn, once what Letta has of its earlier turns is known. Costs a query when something was said that the
 * agent has not heard, and requests to Letta only after a turn of which that is not sure. Throws SourceError when Letta cannot be asked.
 */
export async function settleAndTell(turn: TurnToRun, conversationId: string): Promise<string> {
  const { orgId, threadId, seat, content } = turn;
  if (!seat.unheard || seat.letta_conversation_id === null) return content;
  const open = await tenant(orgId, (tx) => unsettled(tx, turn));
  if (open.length === 0) return content;

  const has = await messagesOf(
    orgId,
    conversationId,
    open.map(({ id }) => id),
  );
  return tenant(orgId, async (tx) => {
    await holdThread(tx, orgId, threadId);
    let heard = seat.heard_seq;
    for (const { id, message_seq, answer } of open) {
      const stored = storedOf(id, has);
      const lacks = lackingOf(answer, stored);
      log.info("what Letta has of a turn that it may not have stored", { turn_id: id, has: stored !== null, lacks });
      await tx.exec`update turns set letta_lacks = ${lacks}::int where org_id = ${orgId} and id = ${id}`;
      if (stored !== null) heard = Math.max(heard, message_seq);
    }
    await tx.exec`
      update agent_conversations set heard_seq = greatest(heard_seq, ${heard}::bigint)
      where org_id = ${orgId} and thread_id = ${threadId} and agent_version_id = ${seat.agent_version_id}
        and branch = ${seat.branch}`;
    const state = await readThread(tx, orgId, threadId);
    if (!state) return content; // erased meanwhile
    return tellAgent(tx, { orgId, threadId, seat: { ...seat, heard_seq: heard }, message: turn.message, state });
  });
}

/** The conversation as Letta has it, once nothing of it runs: a run that is still under way would store more. */
async function messagesOf(orgId: string, conversationId: string, turns: string[]): Promise<LettaMessage[]> {
  try {
    await (await forOrg(orgId)).cancel(conversationId);
  } catch (error) {
    throw asSourceError(error);
  }
  return readMessages(orgId, conversationId, turns);
}

/** The conversation as Letta has it now, oldest first, as far as these turns may be in it. Throws SourceError when Letta cannot be asked. */
export async function readMessages(orgId: string, conversationId: string, turns: string[]): Promise<LettaMessage[]> {
  try {
    const letta = await forOrg(orgId);
    const messages: LettaMessage[] = [];
    for (let page = 0; page < PAGES_MAX; page++) {
      const after = messages.at(-1)?.id;
      const next = await letta.conversations.messages(conversationId, {
        limit: PAGE_MESSAGES,
        order: "desc",
        ...(after === undefined ? {} : { after }),
      });
      messages.push(...next);
      if (next.length < PAGE_MESSAGES || turns.every((id) => messageOf(id, messages))) break;
    }
    return messages.reverse(); // Letta tells times in seconds only: within one, its order counts
  } catch (error) {
    throw asSourceError(error);
  }
}

function asSourceError(error: unknown): unknown {
  if (!(error instanceof LettaError)) return error;
  return new SourceError(error.kind, error.message, error.retryable, { cause: error });
}

function unsettled(tx: Tx, { orgId, threadId, seat }: TurnToRun): Promise<Unsettled[]> {
  return tx.queryAll<Unsettled>`
    select t.id, t.message_seq, coalesce(m.content, '') as answer
    from turns t left join messages m on (m.org_id, m.thread_id, m.turn_id) = (t.org_id, t.thread_id, t.id)
    where t.org_id = ${orgId} and t.thread_id = ${threadId} and t.agent_version_id = ${seat.agent_version_id} and t.branch = ${seat.branch}
      and t.letta_lacks is null and t.ended_at is not null and t.joined_at is null and t.message_seq > ${seat.heard_seq}
    order by t.id desc limit ${TURNS_MAX}`;
}
