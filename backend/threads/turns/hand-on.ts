import type { Tx } from "../../db/tenant";
import { newId } from "../../lib/ids";
import { type Draft, type NewTurn, systemMessage } from "../log";
import { TURNS_LIVE_MAX } from "../refuse-message";
import { type AgentSeat, readThread, type ThreadState } from "../thread-context";
import { everybodyAddressed, speaking } from "../who-answers";

/**
 * An agent whose answer addresses other agents of the thread hands them the word: each of them answers it. Everything that follows one
 * message of a person is an exchange, and an exchange has three limits, which are counted in the turns' rows, under the thread's lock: so
 * they hold whatever process ends a turn, and after any crash. When one of them is reached the thread is told so, once, and in this
 * exchange no agent hands the word on any more. A person's next message begins another.
 */
export type LimitReason = "hop_limit" | "turn_limit" | "token_limit";

/** A turn that has just ended in its row, as its exchange sees it. */
export interface Ended {
  /** The place of the person's message that began the exchange. */
  exchange_seq: number;
  /** How often the word went from agent to agent on the way to this turn. */
  hop: number;
  /** Whether turns wait in the exchange that an agent asked for. */
  waiting: boolean;
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
  /** Whether it was said in the branch that the thread is on: in one that was left, nobody is asked to go on. */
  isHere: boolean;
  ended: Ended;
}

/** Whom a completed answer gives the word, within the exchange's limits. Run it under the thread's lock, when the turn has ended in its row. */
export async function handOn(tx: Tx, { orgId, threadId, agentId, text, isHere, ended }: Answered): Promise<HandedOn> {
  if (!ended.waiting && !text.includes("@")) return NOBODY; // nearly all answers, at no cost
  const state = await readThread(tx, orgId, threadId);
  if (!state) return NOBODY;
  const mentions = everybodyAddressed(state, { content: text, mentions: [], senderId: agentId });
  const asked = isHere && state.context.thread.state === "active" ? seatsOf(state, mentions) : [];
  if (asked.length === 0 && !ended.waiting) return { ...NOBODY, mentions };

  const spent = await spentBy(tx, orgId, threadId, ended.exchange_seq);
  const { seats, reason } = within(state, asked, ended.hop, spent);
  const said: Draft[] = [];
  if (reason === "token_limit") said.push(...(await cancelWaiting(tx, orgId, threadId, ended.exchange_seq)));
  const stopped = asked.length > seats.length || said.length > 0;
  if (reason !== null && stopped && (await endExchange(tx, orgId, threadId, ended.exchange_seq, reason))) {
    said.push(systemMessage(whyEnded(state, reason), reason));
  }
  const turns = seats.map(({ agent_id, agent_version_id }) => ({
    id: newId("turn"),
    agent_id,
    agent_version_id,
    exchange_seq: ended.exchange_seq,
    hop: ended.hop + 1,
  }));
  return { mentions, seats, turns, said, state };
}

function seatsOf(state: ThreadState, mentions: string[]): AgentSeat[] {
  const may = new Set(speaking(state).map(({ agentId }) => agentId));
  return state.agents.filter(({ agent_id }) => may.has(agent_id) && mentions.includes(agent_id));
}

interface Spent {
  turns: number;
  tokens: number;
  /** Whether a limit has ended the exchange before. */
  over: boolean;
}

async function spentBy(tx: Tx, orgId: string, threadId: string, exchangeSeq: number): Promise<Spent> {
  const spent = await tx.queryRow<Spent>`
    select count(*)::int as turns, coalesce(sum(coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)), 0)::float8 as tokens,
      exists (
        select from exchange_ends where org_id = ${orgId} and thread_id = ${threadId} and exchange_seq = ${exchangeSeq}) as over
    from turns where org_id = ${orgId} and thread_id = ${threadId} and coalesce(exchange_seq, message_seq) = ${exchangeSeq}`;
  return spent ?? { turns: 0, tokens: 0, over: false };
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
  if (spent.over || hop >= limits.hops) return { seats: [], reason: "hop_limit" };
  const left = Math.max(0, Math.min(limits.turns - spent.turns, TURNS_LIVE_MAX - running_turns.length));
  return { seats: asked.slice(0, left), reason: left < asked.length ? "turn_limit" : null };
}

/** Cancels the turns that agents asked for and that have not begun. */
async function cancelWaiting(tx: Tx, orgId: string, threadId: string, exchangeSeq: number): Promise<Draft[]> {
  const cancelled = await tx.queryAll<{ id: string; agent_id: string }>`
    update turns set state = 'cancelled', ended_at = now(), cancel_requested_at = now(), cancel_reason = 'token_limit'
    where org_id = ${orgId} and thread_id = ${threadId} and coalesce(exchange_seq, message_seq) = ${exchangeSeq}
      and state = 'queued' and hop > 0
    returning id, agent_id`;
  return cancelled
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, agent_id }) => ({
      type: "turn_cancelled",
      turn_id: id,
      agent_id,
      message_id: null,
      cancelled_by: null,
      reason: "token_limit",
    }));
}

/** Notes that a limit has ended the exchange; false when one had before, so that the thread is told once. */
async function endExchange(
  tx: Tx,
  orgId: string,
  threadId: string,
  exchangeSeq: number,
  reason: LimitReason,
): Promise<boolean> {
  const first = await tx.queryRow`
    insert into exchange_ends (org_id, thread_id, exchange_seq, reason) values (${orgId}, ${threadId}, ${exchangeSeq}, ${reason})
    on conflict (org_id, thread_id, exchange_seq) do nothing returning exchange_seq`;
  return first !== null;
}

function whyEnded(state: ThreadState, reason: LimitReason): string {
  const { hops, turns, tokens } = state.context.thread.exchange_limits;
  const limit = {
    hop_limit: `the word went from agent to agent ${hops} times in a row`,
    turn_limit: `agents gave as many answers as one message may start (${turns})`,
    token_limit: `its answers took the ${tokens} tokens that one message may cost`,
  }[reason];
  return `The agents stop here: ${limit}. They go on when a person says something.`;
}
