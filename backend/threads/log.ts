import type { Tx } from "../db/tenant";
import { embeddingsConfigured } from "../lib/embeddings";
import { notFound } from "../lib/errors";
import type { LogEntry, LogEvent, Message, MessageStatus, SenderType, TokenUsage } from "../lib/events";
import { newId } from "../lib/ids";
import type { Reserved } from "../usage/estimates";
import type { Asker } from "../usage/reserve";
import { LEASE, PROCESS_ID } from "./turns/lease";

/** A message to be appended; its seq and time are given by the log. */
export interface MessageDraft {
  /** Made here when absent; given where another entry of the same call names it. */
  id?: string;
  sender_type: SenderType;
  sender_id: string;
  sender_name: string;
  content: string;
  status?: MessageStatus;
  turn_id?: string | null;
  mentions?: string[];
  reason?: string | null;
  /** The thread's own without it. */
  branch?: number;
}

/** Something the system says in the thread. `reason` is for programs, where there is one to tell. */
export function systemMessage(content: string, reason: string | null = null): Draft {
  return {
    type: "message",
    message: { sender_type: "system", sender_id: "system", sender_name: "system", content, reason },
  };
}

/** A turn to be queued: one agent answering one message. */
export interface NewTurn {
  id: string;
  agent_id: string;
  agent_version_id: string;
  /** Where another agent handed the word on: the exchange's first message, and how often the word has gone from agent to agent. */
  exchange_seq?: number;
  hop?: number;
  /** The turn that its message is to join. */
  steers_turn_id?: string | null;
  /** For whom, and what is set aside for it: turns/reserve-turns.ts. */
  asker?: Asker;
  reserved?: Reserved | null;
}

/** What of a new turn its row says of spending. */
export function spendingOf({ asker, reserved }: NewTurn) {
  return {
    asked_by: asker?.userId,
    asked_key: asker?.keyId,
    reserved_at: reserved?.at,
    reserved_tokens: reserved?.tokens,
    reserved_cost_micros: reserved?.costMicros,
  };
}

type Tokens = Pick<TokenUsage, "prompt_tokens" | "completion_tokens">;

/** A message is embedded once the answers to it have begun: the first word of an answer is waited for, the search is not. */
const EMBED_DELAY = "2 seconds";

type Bare<E> = E extends { type: infer T; thread_id: string } ? { type: T } & Omit<E, "type" | "thread_id"> : never;

/** An entry to be appended: a message, or any other log event without what the log adds. */
export type Draft = { type: "message"; message: MessageDraft } | Exclude<Bare<LogEvent>, { type: "message" }>;

/**
 * Appends entries to a thread's log in one statement: the update of the thread's row takes the lock that orders all its writers, and
 * gives them the next seqs. Embedding each message is enqueued with it, where embeddings are configured.
 * `turns` are queued to answer the first of the entries, leased to this process from the start: it can begin them right after the commit,
 * and no other process takes them meanwhile. `spent` is added to the thread's own count. Throws the one answer when there is no such thread. Hand the entries to the thread's readers after the commit, not before.
 */
export async function appendLog(
  tx: Tx,
  orgId: string,
  threadId: string,
  drafts: Draft[],
  turns: NewTurn[] = [],
  spent: Tokens | null = null,
): Promise<LogEntry[]> {
  const rows = drafts.map((draft, index) => {
    if (draft.type !== "message") {
      const { type, ...data } = draft;
      return { ord: index + 1, kind: type, data, message: null };
    }
    return { ord: index + 1, kind: draft.type, data: {}, message: { id: newId("msg"), ...draft.message } };
  });
  const asked = turns.map((turn) => ({ ...turn, ...spendingOf(turn) }));
  const appended = await tx.queryAll<{ seq: number; created_at: Date; branch: number }>`
    with draft as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as d(ord int, kind text, data jsonb, message jsonb)
    ), head as (
      update threads set last_seq = last_seq + ${rows.length}::int, updated_at = now(),
        prompt_tokens = prompt_tokens + ${spent?.prompt_tokens ?? 0}::bigint,
        completion_tokens = completion_tokens + ${spent?.completion_tokens ?? 0}::bigint
      where org_id = ${orgId} and id = ${threadId} returning last_seq - ${rows.length}::int as base, branch
    ), entry as (
      insert into thread_log (org_id, thread_id, seq, kind, data)
      select ${orgId}, ${threadId}, base + ord, kind, data from draft, head returning seq, created_at
    ), message as (
      insert into messages (org_id, thread_id, seq, id, sender_type, sender_id, sender_name, content, status, turn_id, mentions, reason, branch)
      select ${orgId}, ${threadId}, base + ord, m.id, m.sender_type, m.sender_id, m.sender_name, m.content,
        coalesce(m.status, 'complete'), m.turn_id, coalesce(m.mentions, '[]'), m.reason,
        coalesce(m.branch, head.branch)
      from draft, head, jsonb_to_record(message)
        as m(id text, sender_type text, sender_id text, sender_name text, content text, status text, turn_id text, mentions jsonb, reason text,
          branch int)
      where kind = 'message' returning id, sender_type
    ), turn as (
      insert into turns (org_id, id, thread_id, agent_id, agent_version_id, message_seq, lease_owner, lease_until, exchange_seq, hop,
        steers_turn_id, branch, asked_by, asked_key, reserved_at, reserved_tokens, reserved_cost_micros)
      select ${orgId}, t.id, ${threadId}, t.agent_id, t.agent_version_id, base + 1, ${PROCESS_ID}, now() + ${LEASE}::text::interval,
        t.exchange_seq, coalesce(t.hop, 0), t.steers_turn_id, head.branch, t.asked_by, t.asked_key, t.reserved_at,
        coalesce(t.reserved_tokens, 0), coalesce(t.reserved_cost_micros, 0)
      from head, jsonb_to_recordset(${JSON.stringify(asked)}::text::jsonb)
        as t(id text, agent_id text, agent_version_id text, exchange_seq bigint, hop int, steers_turn_id text, asked_by text, asked_key text,
          reserved_at timestamptz, reserved_tokens bigint, reserved_cost_micros bigint)
    ), job as (
      select enqueue_job('embed_message', jsonb_build_object('message_id', id), ${EMBED_DELAY}::text::interval) from message
      where sender_type <> 'system' and ${embeddingsConfigured()}::boolean
    )
    select seq, created_at, head.branch, (select count(*) from job) as jobs from entry, head order by seq`;
  if (appended.length === 0) throw notFound("thread");

  return appended.map(({ seq, created_at, branch: current }, index) => {
    const row = rows[index];
    const draft = drafts[index];
    if (!row || !draft) throw new Error("the log gave back more entries than it was given");
    if (draft.type === "message" && row.message) {
      const { id, sender_type, sender_id, sender_name, content } = row.message;
      const { status = "complete", turn_id = null, mentions = [], reason = null, branch = current } = row.message;
      const message: Message = {
        id,
        thread_id: threadId,
        seq,
        sender_type,
        sender_id,
        sender_name,
        content,
        status,
        turn_id,
        mentions,
        reason,
        branch,
        origin: null,
        created_at: created_at.toISOString(),
      };
      return { seq, event: { type: "message", thread_id: threadId, message } };
    }
    return { seq, event: { thread_id: threadId, ...draft } as LogEvent };
  });
}

interface LogRow extends Omit<Message, "thread_id" | "created_at" | "seq"> {
  seq: number;
  kind: LogEvent["type"];
  data: Record<string, unknown>;
  at: Date;
  /** Of the page's messages up to this one. */
  bytes: number;
}

/** Bytes of messages in one page of the log. The page ends with the entry that reaches it, so it has one entry at least. */
const PAGE_BYTES_MAX = 4 << 20;

export interface LogPage {
  entries: LogEntry[];
  /** Whether the page ended at a bound: there may be more. */
  full: boolean;
}

/** The log's entries after `after`, oldest first: at most `limit`, and not many more bytes than PAGE_BYTES_MAX. */
export async function readLog(tx: Tx, orgId: string, threadId: string, after: number, limit: number): Promise<LogPage> {
  // octet_length reads a large text's size from its pointer, so what the page leaves out is never fetched. Each message is looked up by its
  // place: where PostgreSQL takes the thread for a short one, it would rather read all its messages.
  const rows = await tx.queryAll<LogRow>`
    select * from (
      select l.seq, l.kind, l.data, coalesce(m.created_at, l.created_at) as at, m.id, m.sender_type, m.sender_id, m.sender_name, m.content, m.status, m.turn_id,
        m.mentions, m.reason, m.branch, m.origin,
        sum(coalesce(octet_length(m.content), 0)) over (order by l.seq)::float8 as bytes
      from (
        select seq, kind, data, created_at from thread_log
        where org_id = ${orgId} and thread_id = ${threadId} and seq > ${after} order by seq limit ${limit}
      ) l left join lateral (
        select * from messages where org_id = ${orgId} and thread_id = ${threadId} and seq = l.seq limit 1) m on true
    ) page
    where bytes - coalesce(octet_length(content), 0) < ${PAGE_BYTES_MAX}::int
    order by seq`;
  const entries = rows.map(({ seq, kind, data, at, bytes: _, ...message }) => ({
    seq,
    event:
      kind === "message"
        ? {
            type: kind,
            thread_id: threadId,
            message: { ...message, thread_id: threadId, seq, created_at: at.toISOString() },
          }
        : ({ type: kind, thread_id: threadId, ...data } as LogEvent),
  }));
  return { entries, full: rows.length === limit || (rows.at(-1)?.bytes ?? 0) >= PAGE_BYTES_MAX };
}
