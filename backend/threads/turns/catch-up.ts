import type { Tx } from "../../db/tenant";
import type { Message, SenderType } from "../../lib/events";
import type { AgentSeat, ThreadState } from "../thread-context";

/** What an agent is told of what it missed. Older messages are left out, and it is told how many. */
const MISSED_MESSAGES_MAX = 50;
/** About 6 000 tokens at 4 characters each. */
const MISSED_CHARS_MAX = 24_000;

/** Participants that an agent is told by name at its first hearing. */
const NAMED_MAX = 30;

/** Before a message that the agent took into an answer while it gave it. */
const ANSWERED = "<note>The next message came during your answer above, which answers it.</note>\n";

/** Bare words that look like our own tag are told in one: they would stay in what the agent remembers as somebody else's. */
const TAG = /<\/?(?:message|note)\b/i;

interface Telling {
  orgId: string;
  threadId: string;
  seat: AgentSeat;
  /** The message to be answered. */
  message: Message;
  state: ThreadState;
}

/**
 * What the agent hears: the new message, after everything said since it last listened (people and other agents, by name, and words of
 * its own that Letta did not get to store). Alone with one person and up to date, it hears the bare words; otherwise each message stands
 * in a tag with its speaker, which nobody can forge, because `<` in a text is escaped there.
 */
export async function tellAgent(tx: Tx, { orgId, threadId, seat, message, state }: Telling): Promise<string> {
  const missed = await missedMessages(tx, { orgId, threadId, seat, message, state });
  const people = state.context.participants.filter((p) => p.kind === "user").length;
  if (missed.length === 0 && people <= 1 && state.agents.length <= 1 && !TAG.test(message.content))
    return message.content;
  return [...whoIsHere(seat, state), render(missed, message, seat)].join("\n");
}

/** To an agent that hears the conversation for the first time, among other agents: whom it can address, and how. Comings and goings follow. */
function whoIsHere(seat: AgentSeat, state: ThreadState): string[] {
  if (seat.heard_seq > 0 || state.agents.length <= 1) return [];
  const others = state.context.participants.filter((p) => p.agent_id !== seat.agent_id);
  const named = others
    .slice(0, NAMED_MAX)
    .map(({ name, kind }) => `${escapeText(name)} (${kind === "agent" ? "agent" : "person"})`);
  const more = others.length > NAMED_MAX ? ` and ${others.length - NAMED_MAX} more` : "";
  return [`<note>Here are ${named.join(", ")}${more}. An agent that you address as @Name answers you.</note>`];
}

/** What an agent is told of a message that joins its running turn: as `tellAgent` would, without what it missed. */
export function tellInBetween(message: Said, agentId: string, state: ThreadState): string {
  const people = state.context.participants.filter((p) => p.kind === "user").length;
  const isAlone = people <= 1 && state.agents.length <= 1 && !TAG.test(message.content);
  return isAlone ? message.content : speak(message, agentId);
}

interface Said {
  sender_type: SenderType;
  sender_id: string;
  sender_name: string;
  content: string;
}

interface Missed extends Said {
  /** The agent has answered it: it joined an earlier turn of its. But it was not kept in its memory. */
  answered: boolean;
}

async function missedMessages(tx: Tx, { orgId, threadId, seat, message }: Telling): Promise<Missed[]> {
  if (!seat.unheard) return []; // the common case needs no query
  const rows = await tx.queryAll<Missed>`
    select m.sender_type, m.sender_id, m.sender_name, m.told as content, exists (
      select from turns j
      where j.org_id = m.org_id and j.thread_id = m.thread_id and j.message_seq = m.seq and j.joined_at is not null
        and (j.agent_version_id, j.branch) = (${seat.agent_version_id}::text, ${seat.branch}::int) and j.state = 'completed') as answered
    from branch_spans(${orgId}, ${threadId}, ${seat.branch}::int) s cross join lateral (
      select m.org_id, m.thread_id, m.seq, m.sender_type, m.sender_id, m.sender_name,
        case when t.letta_lacks > 0 and (t.agent_version_id, t.branch) = (${seat.agent_version_id}::text, ${seat.branch}::int)
          then right(m.content, t.letta_lacks) else m.content end as told
      from messages m left join turns t on (t.org_id, t.id) = (m.org_id, m.turn_id)
      where m.org_id = ${orgId} and m.thread_id = ${threadId}
        and m.seq between greatest(s.lo, ${seat.heard_seq}::bigint + 1) and least(s.hi, ${message.seq}::bigint - 1) and m.content <> ''
        and ((t.agent_version_id, t.branch) is distinct from (${seat.agent_version_id}::text, ${seat.branch}::int) or t.letta_lacks > 0)
        and (m.sender_type <> 'system' or ${seat.heard_seq}::bigint > 0)
      order by m.seq desc limit ${MISSED_MESSAGES_MAX}
    ) m
    order by m.seq desc limit ${MISSED_MESSAGES_MAX}`;
  return rows.reverse();
}

function render(missed: Missed[], message: Message, seat: AgentSeat): string {
  const said: string[] = [];
  let chars = 0;
  for (const one of missed.toReversed()) {
    const text = `${one.answered ? ANSWERED : ""}${speak(one, seat.agent_id)}`;
    if (chars + text.length > MISSED_CHARS_MAX) break;
    chars += text.length;
    said.unshift(text);
  }
  const left = missed.length - said.length;
  return [
    ...(left > 0 ? [`<note>${left} earlier messages are left out.</note>`] : []),
    ...said,
    speak(message, seat.agent_id),
  ].join("\n");
}

function speak({ sender_type, sender_id, sender_name, content }: Said, agentId: string): string {
  const role =
    sender_type === "agent" ? (sender_id === agentId ? "you" : "agent") : sender_type === "user" ? "person" : "system";
  return `<message from="${escapeText(sender_name).replaceAll('"', "&quot;")}" role="${role}">${escapeText(content)}</message>`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
