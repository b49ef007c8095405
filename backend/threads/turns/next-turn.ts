import type { Tx } from "../../db/tenant";
import type { Message } from "../../lib/events";
import { readThread } from "../thread-context";
import { tellAgent } from "./catch-up";
import { LEASE, PROCESS_ID } from "./lease";
import type { TurnToRun } from "./run-turn";

interface Next {
  orgId: string;
  threadId: string;
  agentId: string;
  /** Whether to take also a turn that another process has leased: right after a running turn's end, when nobody can be starting it. */
  leased: boolean;
}

/**
 * The agent's next queued turn of this thread, leased to this process and ready to run; null when there is none, or when the agent is still
 * answering. Messages are answered in the log's order: a turn's id tells the time by the clock of the process that took the message. Run it
 * under the thread's lock.
 */
export async function nextTurn(tx: Tx, { orgId, threadId, agentId, leased }: Next): Promise<TurnToRun | null> {
  const taken = await tx.queryRow<Taken>`
    update turns set lease_owner = ${PROCESS_ID}, lease_until = now() + ${LEASE}::text::interval
    where org_id = ${orgId} and id = (
      select id from turns q
      where q.org_id = ${orgId} and q.thread_id = ${threadId} and q.agent_id = ${agentId} and q.state = 'queued'
        and not exists (
          select from turns r
          where r.org_id = ${orgId} and r.thread_id = ${threadId} and r.agent_id = ${agentId} and r.state = 'running')
      order by q.message_seq, q.id limit 1)
      and (${leased}::boolean or lease_owner = ${PROCESS_ID} or lease_until < now())
    returning id, message_seq, attempt, asked_by, asked_key, reserved_at, reserved_tokens, reserved_cost_micros`;
  if (!taken) return null;

  const state = await readThread(tx, orgId, threadId);
  const row = await tx.queryRow<Omit<Message, "created_at" | "thread_id"> & { created_at: Date }>`
    select id, seq, sender_type, sender_id, sender_name, content, status, turn_id, mentions, reason, branch, origin, created_at
    from messages where org_id = ${orgId} and thread_id = ${threadId} and seq = ${taken.message_seq}`;
  const seat = await seatOfTurn(tx, orgId, taken.id);
  if (!state || !row || !seat) return null;
  const message = { ...row, thread_id: threadId, created_at: row.created_at.toISOString() };
  const content = await tellAgent(tx, { orgId, threadId, seat, message, state });
  const { id: turnId, attempt, asked_by: userId, asked_key: keyId, reserved_at: at } = taken;
  const reserved = at && { at, tokens: taken.reserved_tokens, costMicros: taken.reserved_cost_micros };
  return { orgId, threadId, turnId, seat, message, content, attempt: attempt + 1, asker: { userId, keyId }, reserved };
}

interface Taken {
  id: string;
  message_seq: number;
  attempt: number;
  asked_by: string | null;
  asked_key: string | null;
  reserved_at: Date | null;
  reserved_tokens: number;
  reserved_cost_micros: number;
}

/** The agent as it was asked: in the version of then, and also when it has left the thread since. */
async function seatOfTurn(tx: Tx, orgId: string, turnId: string) {
  return tx.queryRow<TurnToRun["seat"]>`
    select t.agent_id, v.name, v.id as agent_version_id, v.model, v.letta_id, t.branch, a.ask_ahead,
      c.letta_conversation_id, coalesce(c.heard_seq, 0) as heard_seq, true as unheard
    from turns t
      join agents a on (a.org_id, a.id) = (t.org_id, t.agent_id)
      join agent_versions v on (v.org_id, v.id) = (t.org_id, t.agent_version_id)
      left join agent_conversations c on (c.org_id, c.thread_id, c.agent_version_id, c.branch) = (t.org_id, t.thread_id, v.id, t.branch)
    where t.org_id = ${orgId} and t.id = ${turnId}`;
}
