import { type Tx, tenant } from "../../db/tenant";
import type { CancelReason, LimitName, LogEntry, TokenUsage } from "../../lib/events";
import { newId } from "../../lib/ids";
import { turnsEnded } from "../../lib/metrics";
import type { Spent } from "../../usage/meter";
import { keepInBranch } from "../branches/keep-in-branch";
import { holdThread } from "../hold-thread";
import { appendLog, type Draft } from "../log";
import { type Ended, type HandedOn, handOn } from "./hand-on";
import { PROCESS_ID } from "./lease";
import { nextTurn } from "./next-turn";
import { startable } from "./queue-turns";
import type { TurnToRun } from "./run-turn";
import { endJoined } from "./steer";
import { statesFor } from "./turn-state";

export interface Ending {
  /** Milliseconds from the turn's start to its first word; null when none came. */
  firstTokenMs: number | null;
  durationMs: number;
  runId: string | null;
  /** What it took of language models; null where none was asked. */
  spent: Spent | null;
  /** Letta has stored the turn, message and answer, for sure. Otherwise it is asked before the agent's next turn (settle.ts). */
  inLetta: boolean;
}

export type Outcome = Ending &
  (
    | { kind: "completed" }
    /** Without a reason: as its row says, whoever asked for it. */
    | { kind: "cancelled"; reason?: CancelReason; limit?: LimitName }
    | { kind: "failed"; reason: string; message: string; retryable: boolean }
  );

export interface TurnEnd {
  entries: LogEntry[];
  /** The agent's next queued turn, and those of agents whom its answer gave the word: leased to this process, ready to run. */
  next: TurnToRun[];
}

/** What of a turn its end needs: a turn taken over from a dead process has no more. */
export type EndingTurn = Pick<TurnToRun, "orgId" | "threadId" | "turnId"> & {
  seat: Pick<TurnToRun["seat"], "agent_id" | "name" | "agent_version_id" | "branch">;
  message?: TurnToRun["message"];
};

const NOTHING: TurnEnd = { entries: [], next: [] };

/**
 * Ends a turn in one transaction: its message, its entry in the log, its figures, the thread's token count, how far the agent has heard,
 * the capture that learning starts from, the turns of other agents whom it addresses, and the hand-over to the agent's next queued turn. Of two that end a turn one wins, and only
 * whoever holds its lease; the other gets nothing back. Text that was said is kept whatever the outcome.
 */
export async function endTurn(turn: EndingTurn, text: string, outcome: Outcome): Promise<TurnEnd> {
  const { orgId, threadId, turnId, seat } = turn;
  const end = await tenant(orgId, async (tx) => {
    // The thread's lock first: every writer takes the locks in this order.
    const isThere = await holdThread(tx, orgId, threadId);
    if (!isThere) return NOTHING; // erased meanwhile
    const failed = outcome.kind === "failed" ? outcome : null;
    const cancelReason = (outcome.kind === "cancelled" && outcome.reason) || null;
    const { spent } = outcome;
    const action = ({ completed: "complete", failed: "fail", cancelled: "cancel" } as const)[outcome.kind];
    const ended = await tx.queryRow<CancelledBy & Ended & { thread_branch: number; agent_has_queued: boolean }>`
      update turns
      set state = ${outcome.kind}, ended_at = now(), first_token_ms = ${outcome.firstTokenMs}::int, letta_run_id = ${outcome.runId}::text,
        prompt_tokens = ${spent?.prompt_tokens ?? null}::int, completion_tokens = ${spent?.completion_tokens ?? null}::int,
        cached_tokens = ${spent?.cached_tokens ?? null}::int, model = ${spent?.model ?? null}::text,
        cost_micros = ${spent?.cost_micros ?? null}::bigint, usage_estimated = ${spent?.estimated ?? false},
        price = ${spent?.price ? JSON.stringify(spent.price) : null}::text::jsonb, cancel_reason = coalesce(cancel_reason, ${cancelReason}::text),
        letta_lacks = ${outcome.inLetta ? 0 : null}::int, error_reason = ${failed?.reason ?? null}::text, error_message = ${failed?.message ?? null}::text
      where org_id = ${orgId} and id = ${turnId} and state = any(${statesFor(action)}::text[]) and lease_owner = ${PROCESS_ID}
      returning cancelled_by, cancel_reason,
        (select branch from threads where org_id = ${orgId} and id = ${threadId}) as thread_branch,
        exchange, hop, asked_by, asked_key, exists (
          select from turns w
          where w.org_id = turns.org_id and w.thread_id = turns.thread_id and w.state = 'queued' and w.hop > 0
            and w.exchange = turns.exchange and w.branch = turns.branch) as waiting,
        exists (
          select from turns q
          where q.org_id = turns.org_id and q.thread_id = turns.thread_id and q.agent_id = turns.agent_id and q.state = 'queued'
        ) as agent_has_queued`;
    if (!ended) return NOTHING;

    const isHere = seat.branch === ended.thread_branch;
    const answer = outcome.kind === "completed" ? text : "";
    const onward = await handOn(tx, {
      orgId,
      threadId,
      agentId: seat.agent_id,
      branch: seat.branch,
      text: answer,
      isHere,
      ended,
    });
    // What joined this turn, or is next, is a queued turn of the same agent: nearly always there is none, and nothing to ask.
    const joined = ended.agent_has_queued ? await endJoined(tx, turn, outcome.kind) : [];
    const drafts = [...lastWords(turn, text, outcome, ended, joined, onward.mentions), ...onward.said];
    const entries = await appendLog(tx, orgId, threadId, drafts, onward.turns, spent);
    if (!isHere) await keepInBranch(tx, orgId, threadId, seat.branch, entries);
    await tx.exec`delete from turn_deltas where org_id = ${orgId} and turn_id = ${turnId}`;
    if (outcome.inLetta && turn.message) await markHeard(tx, turn, turn.message.seq, entries);
    if (outcome.kind === "completed" && turn.message) {
      await tx.exec`
        insert into interaction_captures (org_id, id, thread_id, turn_id, agent_id, agent_version_id, user_input, agent_output,
          first_token_ms, duration_ms, prompt_tokens, completion_tokens)
        values (${orgId}, ${newId("capture")}, ${threadId}, ${turnId}, ${seat.agent_id}, ${seat.agent_version_id}, ${turn.message.content},
          ${text}, ${outcome.firstTokenMs}::int, ${outcome.durationMs}::int, ${spent?.prompt_tokens ?? null}::int,
          ${spent?.completion_tokens ?? null}::int)`;
    }
    const next = ended.agent_has_queued
      ? await nextTurn(tx, { orgId, threadId, agentId: seat.agent_id, leased: true })
      : null;
    const asked = await begin(tx, turn, onward, entries);
    return { entries, next: next ? [next, ...asked] : asked };
  });
  if (end !== NOTHING)
    turnsEnded.inc({ outcome: outcome.kind, reason: outcome.kind === "failed" ? outcome.reason : "" });
  return end;
}

/** The turns of those to whom the answer gave the word, as far as they can begin now. */
async function begin(tx: Tx, { orgId, threadId }: EndingTurn, onward: HandedOn, entries: LogEntry[]) {
  const answer = entries[0]?.event;
  if (onward.turns.length === 0 || !onward.state || answer?.type !== "message") return [];
  const { seats, turns, state } = onward;
  return startable(tx, { orgId, threadId, message: answer.message, seats, turns, state });
}

/** The agent's next queued turn, after one that ended before it had begun. */
export async function handOver({ orgId, threadId, seat }: EndingTurn): Promise<TurnToRun[]> {
  return tenant(orgId, async (tx) => {
    await holdThread(tx, orgId, threadId);
    const next = await nextTurn(tx, { orgId, threadId, agentId: seat.agent_id, leased: false });
    return next ? [next] : [];
  });
}

interface CancelledBy {
  cancelled_by: string | null;
  cancel_reason: CancelReason | null;
}

function lastWords(
  { turnId, seat }: EndingTurn,
  text: string,
  outcome: Outcome,
  { cancelled_by, cancel_reason: reason }: CancelledBy,
  joined: string[],
  mentions: string[],
): Draft[] {
  const { agent_id, name, branch } = seat;
  const id = text === "" ? null : newId("msg");
  const status = outcome.kind === "completed" ? "complete" : outcome.kind;
  const said: Draft[] =
    id === null
      ? []
      : [
          {
            type: "message",
            message: {
              id,
              sender_type: "agent",
              sender_id: agent_id,
              sender_name: name,
              content: text,
              status,
              turn_id: turnId,
              branch,
              mentions,
            },
          },
        ];
  switch (outcome.kind) {
    case "completed": {
      const { firstTokenMs: first_token_ms, durationMs: duration_ms, spent } = outcome;
      const usage = spent && usageOf(spent);
      return [
        ...said,
        { type: "turn_completed", turn_id: turnId, agent_id, message_id: id, first_token_ms, duration_ms, usage },
        ...joined.map((turn_id) => ({
          type: "turn_completed" as const,
          turn_id,
          agent_id,
          message_id: id,
          first_token_ms: null,
          duration_ms,
          usage: null,
          joined_turn_id: turnId,
        })),
      ];
    }
    case "cancelled": {
      const limit = reason === "budget_spent" && outcome.limit ? { limit: outcome.limit } : {};
      return [
        ...said,
        { type: "turn_cancelled", turn_id: turnId, agent_id, message_id: id, cancelled_by, reason, ...limit },
        ...joined.map((turn_id) => ({
          type: "turn_cancelled" as const,
          turn_id,
          agent_id,
          message_id: id,
          cancelled_by,
          reason,
          ...limit,
        })),
      ];
    }
    case "failed": {
      const { reason, message: error, retryable } = outcome;
      return [...said, { type: "agent_error", turn_id: turnId, agent_id, error, reason, retryable }];
    }
  }
}

function usageOf({ prompt_tokens, completion_tokens }: Spent): TokenUsage {
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

/**
 * The agent has heard everything up to the message it answered; and everything up to now when nobody else spoke meanwhile, so that its
 * next turn need not look.
 */
async function markHeard(tx: Tx, turn: EndingTurn, messageSeq: number, entries: LogEntry[]): Promise<void> {
  const { orgId, threadId, turnId, seat } = turn;
  const last = entries.at(-1)?.seq ?? messageSeq;
  await tx.exec`
    update agent_conversations c
    set heard_seq = case when exists (
        select from branch_spans(c.org_id, c.thread_id, c.branch) s cross join lateral (
          select from messages m
          where m.org_id = c.org_id and m.thread_id = c.thread_id and m.seq >= greatest(s.lo, ${messageSeq}::bigint + 1) and m.seq <= s.hi
            and m.turn_id is distinct from ${turnId}
          order by m.seq limit 1) m
      ) then ${messageSeq}::bigint else ${last}::bigint end
    where org_id = ${orgId} and thread_id = ${threadId} and agent_version_id = ${seat.agent_version_id}
      and branch = ${seat.branch}`;
}
