import { ErrCode } from "encore.dev/api";
import type { Tx } from "../../db/tenant";
import { embeddingsConfigured } from "../../lib/embeddings";
import { problem } from "../../lib/errors";
import { newId } from "../../lib/ids";

/** Messages that one call copies, under the threads' locks: 0.9 to 1.8 s on a busy machine (docs/decisions, branches). */
const COPIED_MESSAGES_MAX = 5_000;
/** A question that is asked again is often copied before it is embedded: its job has run by then. */
const EMBED_DELAY = "5 seconds";
/** Bytes of their texts together. */
const COPIED_BYTES_MAX = 16 << 20;

interface Copying {
  orgId: string;
  from: {
    threadId: string;
    branch: number;
    /** The messages after this place of its log, up to and with that one. */
    after: number;
    upTo: number;
  };
  /** The thread whose log they are appended to, under its lock. */
  to: string;
}

/**
 * Appends the messages of one branch of a thread to another thread's log, in one statement: who said it and when stay, `origin` says where,
 * and no turn is theirs. Returns how many. Their embeddings follow by a job.
 */
export async function copyMessages(tx: Tx, { orgId, from, to }: Copying): Promise<number> {
  const { threadId, branch, after, upTo } = from;
  const size = await tx.queryRow<{ messages: number; bytes: number }>`
    select count(*)::int as messages, coalesce(sum(bytes), 0)::float8 as bytes from (
      select m.bytes from branch_spans(${orgId}, ${threadId}, ${branch}::int) s cross join lateral (
        select octet_length(content) as bytes from messages
        where org_id = ${orgId} and thread_id = ${threadId} and seq >= greatest(s.lo, ${after}::bigint + 1) and seq <= least(s.hi, ${upTo}::bigint)
        order by seq limit ${COPIED_MESSAGES_MAX + 1}) m
      limit ${COPIED_MESSAGES_MAX + 1}
    ) picked`;
  const messages = size?.messages ?? 0;
  if (messages > COPIED_MESSAGES_MAX || (size?.bytes ?? 0) > COPIED_BYTES_MAX) throw tooMuch();
  if (messages === 0) return 0;
  const ids = Array.from({ length: messages }, () => newId("msg"));
  const copied = await tx.queryRow<{ n: number }>`
    with picked as materialized (
      select m.*, row_number() over (order by m.seq) as n
      from branch_spans(${orgId}, ${threadId}, ${branch}::int) s cross join lateral (
        select * from messages
        where org_id = ${orgId} and thread_id = ${threadId} and seq >= greatest(s.lo, ${after}::bigint + 1) and seq <= least(s.hi, ${upTo}::bigint)
        order by seq limit ${messages}) m
    ), head as (
      update threads set last_seq = last_seq + ${messages}::int, updated_at = now()
      where org_id = ${orgId} and id = ${to} returning last_seq - ${messages}::int as base, branch
    ), entry as (
      insert into thread_log (org_id, thread_id, seq, kind) select ${orgId}, ${to}, base + n, 'message' from picked, head
    ), message as (
      insert into messages (org_id, thread_id, seq, id, sender_type, sender_id, sender_name, content, status, turn_id, mentions, reason,
        branch, origin, created_at)
      select ${orgId}, ${to}, head.base + p.n, i.id, p.sender_type, p.sender_id, p.sender_name, p.content, p.status, null, p.mentions,
        p.reason, head.branch, jsonb_build_object('thread_id', p.thread_id, 'message_id', p.id, 'seq', p.seq), p.created_at
      from picked p join unnest(${ids}::text[]) with ordinality i(id, n) on i.n = p.n, head
      returning seq
    ), copied as (
      select count(*)::int as n, min(seq) - 1 as after, max(seq) as up_to from message
    ), job as (
      select enqueue_job('copy_embeddings', jsonb_build_object('thread_id', ${to}::text, 'after', after, 'up_to', up_to),
        ${EMBED_DELAY}::text::interval)
      from copied where ${embeddingsConfigured()}::boolean
    )
    select n, (select count(*) from job) as jobs from copied`;
  if (copied?.n !== messages) throw new Error("messages were lost while they were copied");
  return messages;
}

function tooMuch() {
  return problem(
    ErrCode.ResourceExhausted,
    "too_much_to_copy",
    `One call copies ${COPIED_MESSAGES_MAX} messages and ${COPIED_BYTES_MAX >> 20} MiB of text at most.`,
    "Fork at an earlier place, or split off less.",
    { messages_max: COPIED_MESSAGES_MAX, bytes_max: COPIED_BYTES_MAX },
  );
}
