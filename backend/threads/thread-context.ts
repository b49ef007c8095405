import type { Tx } from "../db/tenant";
import { entryCursor } from "../lib/cursor";
import type { TokenUsage } from "../lib/events";
import type { AskAhead } from "../models/correlation/open-turns";
import type { ParticipantRole } from "./roles";
import type { WhenBusy } from "./turns/when-busy";

/** Of one exchange: everything that follows one message of a person. */
export interface ExchangeLimits {
  /** How often the word goes from agent to agent in a row. */
  hops: number;
  /** Answers of agents, those to the person's message included. */
  turns: number;
  /** Tokens of prompts and answers together. */
  tokens: number;
}

export interface ParticipantView {
  id: string;
  kind: "user" | "agent";
  /** The user's id, for a person. */
  user_id: string | null;
  /** The agent's id, for an agent. */
  agent_id: string | null;
  name: string;
  /** What they may do in the thread: roles.ts. An agent that is a listener hears and never answers. */
  role: ParticipantRole;
  joined_at: string;
}

export interface RunningTurn {
  id: string;
  agent_id: string;
  state: "queued" | "running";
  /** It has been asked to stop and has not yet. */
  cancelling: boolean;
  /** The running turn that its message has joined, or is to join at that turn's next step. */
  steers_turn_id: string | null;
}

/** The conversation that every thread-scoped answer carries, errors included. */
export interface ThreadContext {
  thread: {
    id: string;
    title: string | null;
    type: string;
    state: "active" | "archived";
    /** Which agents answer a message: turn-policy.ts. */
    turn_policy: "all" | "mentioned" | "round_robin" | "coordinator";
    /** The agent that answers everything, with the policy `coordinator`. */
    coordinator_id: string | null;
    /** How far agents may go on among themselves after one message of a person. */
    exchange_limits: ExchangeLimits;
    /** What the conversation is on: 1 until a message was edited, regenerated or left behind. */
    branch: number;
  };
  participants: ParticipantView[];
  /** Turns that are queued or running, oldest first. */
  running_turns: RunningTurn[];
  last_seq: number;
  /** Where to follow from: everything up to here is known to whoever has this answer. */
  cursor: string;
  stream_url: string;
  usage: TokenUsage;
}

/** An agent as it takes part in a thread: its current version, and how far it has heard. */
export interface AgentSeat {
  agent_id: string;
  name: string;
  agent_version_id: string;
  /** Letta's name for the language model. */
  model: string;
  /** Null: it came from an archive, and is made in Letta before it is asked (agents/make-imported.ts). */
  letta_id: string | null;
  /** The branch it hears: each in a Letta conversation of its own. */
  branch: number;
  letta_conversation_id: string | null;
  ask_ahead: AskAhead;
  heard_seq: number;
  /** Whether anything was said that it has not heard. */
  unheard: boolean;
}

export interface ThreadState {
  context: ThreadContext;
  agents: AgentSeat[];
  /** The participant to whom the rotation gave the word last, with the policy `round_robin`. */
  rotationAt: string | null;
  /** What a message does at an agent that is answering, unless it says otherwise. */
  whenBusy: WhenBusy;
  /** The organization has limits on what it may spend. */
  isLimited: boolean;
}

type ParticipantRow = ParticipantView & Omit<AgentSeat, "agent_id" | "name" | "branch">;

interface ThreadRow {
  title: string | null;
  type: string;
  state: "active" | "archived";
  branch: number;
  when_busy: WhenBusy;
  last_seq: number;
  seen_seq: number;
  prompt_tokens: number;
  completion_tokens: number;
  turn_policy: ThreadContext["thread"]["turn_policy"];
  coordinator_id: string | null;
  rotation_at: string | null;
  exchange_hops_max: number;
  exchange_turns_max: number;
  exchange_tokens_max: number;
  is_limited: boolean;
  participants: ParticipantRow[];
  running_turns: RunningTurn[];
}

/**
 * $1 organization, $2 thread. `seen_seq` is last_seq as the statement's other reads see it. `greatest`, where `coalesce` reads better: under
 * row-level security the index takes no bound that is made by it, and the whole thread was read for each agent.
 */
const THREAD = `
  select t.title, t.type, t.state, t.when_busy, t.branch, t.last_seq, t.prompt_tokens, t.completion_tokens,
    t.turn_policy, t.coordinator_id, t.rotation_at, t.exchange_hops_max, t.exchange_turns_max, t.exchange_tokens_max,
    exists (select from limits l where l.org_id = t.org_id) as is_limited,
    (select s.last_seq from threads s where s.org_id = t.org_id and s.id = t.id) as seen_seq,
    coalesce((
      select jsonb_agg(jsonb_build_object(
        'id', p.id, 'kind', p.kind, 'user_id', p.user_id, 'agent_id', p.agent_id, 'name', p.name, 'role', p.role, 'joined_at', p.joined_at,
        'agent_version_id', v.id, 'letta_id', v.letta_id, 'model', v.model,
        'letta_conversation_id', c.letta_conversation_id, 'ask_ahead', a.ask_ahead, 'heard_seq', coalesce(c.heard_seq, 0),
        'unheard', exists (
          select from branch_spans(t.org_id, t.id, t.branch) s cross join lateral (
            select from messages m
            where m.org_id = p.org_id and m.thread_id = p.thread_id and m.seq >= s.lo and m.seq > greatest(c.heard_seq, 0) and m.seq <= s.hi
              and (m.sender_type <> 'system' or c.heard_seq > 0)
            order by m.seq limit 1) m)) order by p.id)
      from participants p
        left join agents a on (a.org_id, a.id) = (p.org_id, p.agent_id)
        left join agent_versions v on (v.org_id, v.id) = (a.org_id, a.current_version_id)
        left join agent_conversations c on (c.org_id, c.thread_id, c.agent_version_id, c.branch) = (p.org_id, p.thread_id, v.id, t.branch)
      where p.org_id = t.org_id and p.thread_id = t.id and p.left_at is null), '[]') as participants,
    coalesce((
      select jsonb_agg(jsonb_build_object('id', r.id, 'agent_id', r.agent_id, 'state', r.state,
        'cancelling', r.cancel_requested_at is not null, 'steers_turn_id', r.steers_turn_id) order by r.id)
      from turns r where r.org_id = t.org_id and r.thread_id = t.id and r.state in ('queued', 'running')), '[]') as running_turns
  from threads t where t.org_id = $1 and t.id = $2`;
const THREAD_LOCKED = `${THREAD} for update of t`;

/** The thread, who takes part, and what is under way, in one statement; null when there is no such thread. */
export async function readThread(tx: Tx, orgId: string, threadId: string): Promise<ThreadState | null> {
  const row = await tx.rawQueryRow<ThreadRow>(THREAD, orgId, threadId);
  return row && toState(threadId, row);
}

/**
 * The same, with the lock that orders all writers of the thread. A statement that had to wait for the lock sees the other tables as they
 * were before its wait: then it is read once more. (Whoever changes participants or turns appends to the log, so last_seq tells.)
 */
export async function lockThread(tx: Tx, orgId: string, threadId: string): Promise<ThreadState | null> {
  const row = await tx.rawQueryRow<ThreadRow>(THREAD_LOCKED, orgId, threadId);
  if (row && row.seen_seq !== row.last_seq) return readThread(tx, orgId, threadId);
  return row && toState(threadId, row);
}

function toState(threadId: string, row: ThreadRow): ThreadState {
  const agents: AgentSeat[] = [];
  const participants: ParticipantView[] = [];
  for (const p of row.participants) {
    const { id, kind, user_id, agent_id, name, role } = p;
    participants.push({ id, kind, user_id, agent_id, name, role, joined_at: new Date(p.joined_at).toISOString() });
    if (agent_id && p.agent_version_id) {
      const { agent_version_id, model, letta_id, letta_conversation_id, ask_ahead, heard_seq, unheard } = p;
      const { branch } = row;
      const conversation = { branch, letta_conversation_id, ask_ahead, heard_seq, unheard };
      agents.push({ agent_id, name, agent_version_id, model, letta_id, ...conversation });
    }
  }
  const { title, type, state, branch, last_seq, prompt_tokens, completion_tokens, running_turns } = row;
  const { turn_policy, coordinator_id, rotation_at: rotationAt } = row;
  const exchange_limits = {
    hops: row.exchange_hops_max,
    turns: row.exchange_turns_max,
    tokens: row.exchange_tokens_max,
  };
  return {
    agents,
    rotationAt,
    whenBusy: row.when_busy,
    isLimited: row.is_limited,
    context: {
      thread: { id: threadId, title, type, state, branch, turn_policy, coordinator_id, exchange_limits },
      participants,
      running_turns,
      last_seq,
      cursor: entryCursor(threadId, last_seq),
      stream_url: `/threads/${threadId}/stream`,
      usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
    },
  };
}
