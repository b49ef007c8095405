import type { Tx } from "../../db/tenant";
import { newId } from "../../lib/ids";
import { isQuotaExceeded } from "../../usage/quota";
import { type Draft, type NewTurn, systemMessage } from "../log";
import { TURNS_LIVE_MAX } from "../refuse-message";
import { type AgentSeat, readThread, type ThreadState } from "../thread-context";
import { everybodyAddressed, speaking } from "../who-answers";
import { reserveTurns } from "./reserve-turns";

/**
 * An agent whose answer addresses other agents of the thread hands them the word: each of them answers it. Everything that follows one
 * message of a person is an exchange, and an exchange has three limits, which are counted in the turns' rows, under the thread's lock: so
 * they hold whatever process ends a turn, and after any crash. `hop_limit` stops the chain of agents that has grown too long;
 * `turn_limit` and `token_limit` stop all of the exchange. Beside them stand the limits on what the organization spends: `budget_spent`. The thread is told of each limit once. A person's next message begins another
 * exchange, and an answer given again begins its own anew: in a branch of its own, so each branch counts for itself.
 */
export type LimitReason = "hop_limit" | "turn_limit" | "token_limit" | "budget_spent";

/** A turn that has just ended in its row, as its exchange sees it. */
export interface Ended {
  /** The place of the person's message that began the exchange. */
  exchange: number;
  /** How often the word went from agent to agent on the way to this turn. */
  hop: number;
  /** Whether turns wait in the exchange that an agent asked for. */
  waiting: boolean;
  /** For whom it was. */
  asked_by: string | null;
  asked_key: string | null;
}

export interface HandedOn {
  /** Whom the answer addresses: agents and people. */
  mentions: string[];
  /** Who answers the answer, and the turns in which they do. */
  seats: AgentSeat[];
  turns: NewTurn[];
  /** What the log says besides: turns that a limit cancelled, and why. */
  said: Draft[];
  /** The thread as it was before the answer; null where nobody needed to know. */
  state: ThreadState | null;
}

const NOBODY: HandedOn = { mentions: [], seats: [], turns: [], said: [], state: null };

interface Answered {
  orgId: string;
  threadId: string;
  agentId: string;
  /** The completed answer; empty where the turn ended in another way. */
  text: string;
  branch: number;
  /** Whether that is the branch that the thread is on: in one that was left, nobody is asked to go on. */
  isHere: boolean;
  ended: Ended;
}

/** Whom a completed answer gives the word, within the exchange's limits. Run it under the thread's lock, when the turn has ended in its row. */
export async function handOn(
  tx: Tx,
  { orgId, threadId, agentId, text, branch, isHere, ended }: Answered,
): Promise<HandedOn> {
  if (!ended.waiting && !text.includes("@")) return NOBODY; // nearly all answers, at no cost
  const state = await readThread(tx, orgId, threadId);
  if (!state) return NOBODY;
  const mentions = everybodyAddressed(state, { content: text, mentions: [], senderId: agentId });
  const asked = isHere && state.context.thread.state === "active" ? seatsOf(state, mentions) : [];
  if (asked.length === 0 && !ended.waiting) return { ...NOBODY, mentions };

  const where = { orgId, threadId, exchangeSeq: ended.exchange, branch };
  const spent = await spentBy(tx, where);
  const allowed = within(state, asked, ended.hop, spent);
  const { seats, turns, reason } = await affordable(tx, { orgId, state, content: text, ended }, allowed);
  const cancelled = reason === "token_limit" ? await cancelWaiting(tx, where) : [];
  const unasked = [...asked.slice(seats.length), ...cancelled].map(({ agent_id }) => agent_id);
  const said: Draft[] = cancelled.map(whyCancelled);
  if (reason !== null && unasked.length > 0 && (await isFirstToTell(tx, where, reason))) {
    said.push(systemMessage(whyStopped(state, reason, unasked), reason));
  }
  return { mentions, seats, turns, said, state };
}

interface Affording {
  orgId: string;
  state: ThreadState;
  /** What is to be answered. */
  content: string;
  ended: Ended;
}

/** The turns of those who may answer, with what is set aside for them; of none where it does not fit the organization's limits. */
async function affordable(
  tx: Tx,
  { orgId, state, content, ended }: Affording,
  { seats, reason }: { seats: AgentSeat[]; reason: LimitReason | null },
): Promise<{ seats: AgentSeat[]; turns: NewTurn[]; reason: LimitReason | null }> {
  const turns = seats.map(({ agent_id, agent_version_id }) => ({
    id: newId("turn"),
    agent_id,
    agent_version_id,
    exchange_seq: ended.exchange,
    hop: ended.hop + 1,
  }));
  if (turns.length === 0) return { seats, turns, reason };
  const asker = { userId: ended.asked_by, keyId: ended.asked_key };
  await tx.exec`savepoint hand_on`;
  try {
    const reserved = await reserveTurns(tx, { orgId, state, seats, turns, content, asker, requests: 0 });
    await tx.exec`release savepoint hand_on`;
    return { seats, turns: reserved.turns, reason };
  } catch (error) {
    if (!isQuotaExceeded(error)) throw error;
    await tx.exec`rollback to savepoint hand_on`; // the answer itself is kept
    return { seats: [], turns: [], reason: "budget_spent" };
  }
}

function seatsOf(state: ThreadState, mentions: string[]): AgentSeat[] {
  const may = new Set(speaking(state).map(({ agentId }) => agentId));
  return state.agents.filter(({ agent_id }) => may.has(agent_id) && mentions.includes(agent_id));
}

interface Spent {
  turns: number;
  tokens: number;
}

async function spentBy(tx: Tx, { orgId, threadId, exchangeSeq, branch }: Where): Promise<Spent> {
  const spent = await tx.queryRow<Spent>`
    select count(*)::int as turns, coalesce(sum(coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)), 0)::float8 as tokens
    from turns where org_id = ${orgId} and thread_id = ${threadId} and exchange = ${exchangeSeq} and branch = ${branch}`;
  return spent ?? { turns: 0, tokens: 0 };
}

/** Those of `asked` whom the limits let answer, and the limit that stops the others; tokens count also for turns that wait already. */
function within(
  state: ThreadState,
  asked: AgentSeat[],
  hop: number,
  spent: Spent,
): { seats: AgentSeat[]; reason: LimitReason | null } {
  const { thread, running_turns } = state.context;
  const limits = thread.exchange_limits;
  if (spent.tokens >= limits.tokens) return { seats: [], reason: "token_limit" };
  if (asked.length === 0) return { seats: [], reason: null };
  if (hop >= limits.hops) return { seats: [], reason: "hop_limit" };
  const left = Math.max(0, Math.min(limits.turns - spent.turns, TURNS_LIVE_MAX - running_turns.length));
  if (left < asked.length) return { seats: asked.slice(0, left), reason: "turn_limit" };
  return { seats: asked, reason: null };
}

interface Where {
  orgId: string;
  threadId: string;
  exchangeSeq: number;
  branch: number;
}

interface Cancelled {
  id: string;
  agent_id: string;
}

/** Cancels the turns of an exchange that agents asked for and that have not begun. */
async function cancelWaiting(tx: Tx, { orgId, threadId, exchangeSeq, branch }: Where): Promise<Cancelled[]> {
  return tx.queryAll<Cancelled>`
    with cancelled as (
      update turns set state = 'cancelled', ended_at = now(), cancel_requested_at = now(), cancel_reason = 'token_limit'
      where org_id = ${orgId} and thread_id = ${threadId} and exchange = ${exchangeSeq} and branch = ${branch}
        and state = 'queued' and hop > 0
      returning id, agent_id)
    select id, agent_id from cancelled order by id`;
}

function whyCancelled({ id, agent_id }: Cancelled): Draft {
  return { type: "turn_cancelled", turn_id: id, agent_id, message_id: null, cancelled_by: null, reason: "token_limit" };
}

/** Notes that the thread is told of a limit; false when it was before. */
async function isFirstToTell(
  tx: Tx,
  { orgId, threadId, exchangeSeq, branch }: Where,
  reason: LimitReason,
): Promise<boolean> {
  const first = await tx.queryRow`
    insert into exchange_limits_told (org_id, thread_id, exchange_seq, branch, reason)
    values (${orgId}, ${threadId}, ${exchangeSeq}, ${branch}, ${reason})
    on conflict (org_id, thread_id, exchange_seq, branch, reason) do nothing returning exchange_seq`;
  return first !== null;
}

function whyStopped(state: ThreadState, reason: LimitReason, unasked: string[]): string {
  const { hops, turns, tokens } = state.context.thread.exchange_limits;
  const limit = {
    hop_limit: `the word has gone from agent to agent ${hops} times in a row`,
    turn_limit: `the agents were asked for as many answers as one message may start (${turns})`,
    token_limit: `the answers have taken the ${tokens} tokens that one message may cost`,
    budget_spent: "what may be spent on language models is spent",
  }[reason];
  const names = state.context.participants.flatMap((p) => (p.agent_id && unasked.includes(p.agent_id) ? [p.name] : []));
  return `Not asked any more: ${names.join(", ")}. Here ${limit}. Say something to let them go on.`;
}
