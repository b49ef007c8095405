import { api, ErrCode, type Header } from "encore.dev/api";
import type { Tx } from "../../db/tenant";
import { invalid, problem } from "../../lib/errors";
import type { Message } from "../../lib/events";
import { caller } from "../../organizations/caller";
import { requireThread } from "../in-thread";
import { refuseTooManyTurns } from "../refuse-message";
import type { AgentSeat, ThreadContext, ThreadState } from "../thread-context";
import { newTurns, type QueuedTurn, queuedTurns, startable } from "../turns/queue-turns";
import { reserveTurns } from "../turns/reserve-turns";
import { refuseNoRoom } from "../turns/room";
import { turnsAt } from "../turns/when-busy";
import { speaking, whoAnswers } from "../who-answers";
import { askAgain } from "./ask-again";
import { beginBranch } from "./begin-branch";
import { changeThread } from "./change-thread";
import { requireMessage } from "./require-message";

interface RegenerateMessageRequest {
  id: string;
  /** An agent's answer; or a person's message, which all its agents then answer anew. */
  messageId: string;
  /** A retry with the same key gets the first answer again and starts nothing. Up to 255 characters. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface RegenerateMessageResponse {
  /** One for each agent that answers anew. */
  turns: QueuedTurn[];
  /** The branch that has the answer as it was, and what followed it. */
  left_branch: number;
  context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
  /** The limits on spending that hold for this, in the form of draft-ietf-httpapi-ratelimit-headers. Absent where none does. */
  rate_limit_policy?: Header<"RateLimit-Policy">;
  /** What of them is left, and for how many seconds. */
  rate_limit?: Header<"RateLimit">;
}

/**
 * Has an agent answer anew: the conversation goes on from before its answer in a new branch. Other agents' answers to the same message
 * stay part of it; the answer as it was and all that followed it stay in the branch that was left.
 */
export const regenerateMessage = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/messages/:messageId/regenerate" },
  async ({ id, messageId, idempotency_key }: RegenerateMessageRequest): Promise<RegenerateMessageResponse> => {
    const who = caller();
    const { orgID } = who;
    const request = ["POST /threads/:id/messages/:messageId/regenerate", id, messageId];
    return changeThread(who, { threadId: id, key: idempotency_key, request }, async (tx, before, afterwards) => {
      const chosen = await requireMessage(tx, orgID, before, messageId);
      const asked = await askedWith(tx, orgID, before, chosen);
      const { cancelling, entries } = await beginBranch(
        tx,
        { orgId: orgID, threadId: id, state: before, by: who.userID },
        { action: "regenerate", toSeq: asked.toSeq, kept: asked.kept },
      );

      const state = await requireThread(tx, orgID, id);
      const seats = state.agents.filter((seat) => asked.agents.includes(seat.agent_id));
      refuseTooManyTurns(state, seats.length);
      const busy = turnsAt(state, seats);
      const { turns, limits } = await reserveTurns(tx, {
        orgId: orgID,
        state,
        seats,
        turns: newTurns(seats, busy, "enqueue"),
        content: asked.message.content,
        asker: { userId: who.userID, keyId: who.keyID },
        requests: 1,
      });
      afterwards.limits = limits;
      await askAgain(tx, { orgId: orgID, threadId: id, messageSeq: asked.message.seq, turns, like: chosen.turn_id });
      afterwards.starting = await startable(tx, {
        orgId: orgID,
        threadId: id,
        message: asked.message,
        seats,
        turns,
        state,
      });
      refuseNoRoom(orgID, afterwards.starting.length);
      afterwards.entries.set(id, entries);
      afterwards.cancelling.set(id, cancelling);
      return {
        turns: queuedTurns(turns, busy, "enqueue"),
        left_branch: before.context.thread.branch,
        context: (await requireThread(tx, orgID, id)).context,
      };
    });
  },
);

interface Asked {
  /** What is answered anew. */
  message: Message;
  /** By whom. */
  agents: string[];
  /** What stays: everything up to there, and the messages at `kept` of what follows. */
  toSeq: number;
  kept: number[];
}

async function askedWith(tx: Tx, orgId: string, state: ThreadState, chosen: Message): Promise<Asked> {
  if (chosen.sender_type === "system") {
    throw invalid(
      "not_answerable",
      "What the system says is nobody's answer.",
      "Name an agent's answer, or a question.",
    );
  }
  if (chosen.sender_type === "user") {
    const { content, sender_id: senderId } = chosen;
    const here = new Set(state.context.participants.map((p) => p.user_id ?? p.agent_id));
    const mentions = chosen.mentions.filter((id) => here.has(id));
    const { seats } = whoAnswers(state, { content, mentions: mentions.length > 0 ? mentions : undefined, senderId });
    if (seats.length === 0) throw nobodyAnswers();
    return { message: chosen, agents: seats.map((seat) => seat.agent_id), toSeq: chosen.seq, kept: [] };
  }
  requireAnswerer(state, chosen.sender_id);
  const question = await questionOf(tx, orgId, state, chosen);
  if (!question) throw nobodyAnswers();
  const { id, branch } = state.context.thread;
  const others = await tx.queryAll<{ seq: number }>`
    select m.seq from turns t
      join messages m on (m.org_id, m.thread_id, m.turn_id) = (t.org_id, t.thread_id, t.id)
      join branch_spans(${orgId}, ${id}, ${branch}::int) s on m.seq between s.lo and s.hi
    where t.org_id = ${orgId} and t.thread_id = ${id} and t.message_seq = ${question.seq} and m.seq > ${chosen.seq}
      and m.sender_id <> ${chosen.sender_id} and not exists (
        select from messages p join branch_spans(${orgId}, ${id}, ${branch}::int) ps on p.seq between ps.lo and ps.hi
        where p.org_id = ${orgId} and p.thread_id = ${id} and p.seq > ${question.seq} and p.seq < m.seq and p.sender_type = 'user')
    order by m.seq`;
  return {
    message: question,
    agents: [chosen.sender_id],
    toSeq: chosen.seq - 1,
    kept: others.map((other) => other.seq),
  };
}

/** What an answer answers: the message of its turn; of a copy, whose turn is another thread's, the last thing a person had said. */
async function questionOf(tx: Tx, orgId: string, state: ThreadState, answer: Message): Promise<Message | null> {
  const { id, branch } = state.context.thread;
  const row = await tx.queryRow<{ id: string }>`
    select m.id from branch_spans(${orgId}, ${id}, ${branch}::int) s cross join lateral (
      select q.id, q.seq from messages q left join turns t on t.org_id = ${orgId} and t.id = ${answer.turn_id}::text
      where q.org_id = ${orgId} and q.thread_id = ${id} and q.seq >= s.lo and q.seq <= least(s.hi, ${answer.seq}::bigint - 1)
        and (q.seq = t.message_seq or t.id is null and q.sender_type = 'user')
      order by q.seq desc limit 1) m
    order by m.seq desc limit 1`;
  return row && requireMessage(tx, orgId, state, row.id);
}

function requireAnswerer(state: ThreadState, agentId: string): AgentSeat {
  const seat = state.agents.find((agent) => agent.agent_id === agentId);
  if (seat && speaking(state).some((agent) => agent.agentId === agentId)) return seat;
  throw problem(
    ErrCode.FailedPrecondition,
    "agent_cannot_answer",
    "The agent of this answer takes no part in the thread any more, or only listens.",
    "Add it with POST /threads/:id/participants, or have a host make it a speaker.",
  );
}

function nobodyAnswers() {
  return problem(
    ErrCode.FailedPrecondition,
    "no_agent_answers",
    "There is nobody to answer this message, or nothing to answer.",
    "Edit the message and mention an agent: POST /threads/:id/messages/:messageId/edit.",
  );
}
