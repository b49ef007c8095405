import type { Tx } from "../db/tenant";
import { invalid } from "../lib/errors";
import { THREAD_ROLES } from "../organizations/policy";
import { addressed } from "./mentions";
import type { AgentSeat, ThreadState } from "./thread-context";
import { chooseAgents, type NoAnswerReason, type Room } from "./turn-policy";

/** Why no agent answers a message, and what to do to have one answer. */
export interface NoAnswer {
  reason:
    | "no_agents"
    | "nobody_asked"
    | "people_mentioned"
    | "listeners_mentioned"
    | "nobody_mentioned"
    | "no_coordinator";
  hint: string;
}

export interface Answering {
  /** The agents that answer. */
  seats: AgentSeat[];
  /** Ids of everybody whom the message addresses, agents and people, as it is stored. */
  mentions: string[];
  /** Where the thread's rotation stands afterwards. */
  rotationAt: string | null;
  /** Null when somebody answers. */
  noAnswer: NoAnswer | null;
}

interface Heard {
  content: string;
  /** Ids of agents and people of the thread; undefined where the caller did not say. */
  mentions: string[] | undefined;
  /** Who says it: nobody addresses themself. */
  senderId: string;
}

const HINTS: Record<NoAnswerReason, string> = {
  no_agents: "No agent of this thread may answer: add one, or make a listener a speaker.",
  nobody_asked: "mentions is empty: leave it out, or name agents.",
  people_mentioned: "The message addresses people only: mention an agent as well, or nobody.",
  listeners_mentioned: "The agents mentioned are listeners: mention others, or have a host make them speakers.",
  nobody_mentioned:
    "In this thread only agents answer that are mentioned: @Name in the text, or their ids in mentions.",
  no_coordinator:
    "The thread's coordinator is not here or only listens: name another with PATCH /threads/:id (coordinator_id), or choose another turn_policy.",
};

/** Whom a person's message addresses, by `mentions` and by @Name in its text together, and which agents answer it. */
export function whoAnswers(state: ThreadState, { content, mentions, senderId }: Heard): Answering {
  refuseUnknown(state, mentions);
  const ids = everybodyAddressed(state, { content, mentions: mentions ?? [], senderId });
  const agents = ids.filter((id) => state.agents.some((agent) => agent.agent_id === id));
  const people = ids.filter((id) => !agents.includes(id));
  const choice = chooseAgents(roomOf(state), { agents, people, nobody: mentions !== undefined && ids.length === 0 });
  return {
    seats: state.agents.filter((agent) => choice.agents.includes(agent.agent_id)),
    mentions: ids,
    rotationAt: choice.rotationAt,
    noAnswer: choice.noAnswer && { reason: choice.noAnswer, hint: HINTS[choice.noAnswer] },
  };
}

/**
 * Everybody of the thread whom a message addresses. A name that several bear addresses all of them, unless `mentions` names one of them
 * by id: then that one is meant.
 */
export function everybodyAddressed(
  state: ThreadState,
  { content, mentions, senderId }: { content: string; mentions: string[]; senderId: string },
): string[] {
  const participants = state.context.participants.map((p) => ({ id: p.user_id ?? p.agent_id ?? "", name: p.name }));
  const inText = addressed(content, participants).flatMap((bearers) => {
    const meant = bearers.filter((id) => mentions.includes(id));
    return meant.length > 0 ? meant : bearers;
  });
  return [...new Set([...mentions, ...inText])].filter((id) => id !== senderId);
}

/** Keeps where the thread's rotation stands after a message, under the thread's lock. */
export async function keepRotation(
  tx: Tx,
  orgId: string,
  state: ThreadState,
  rotationAt: string | null,
): Promise<void> {
  if (rotationAt === state.rotationAt) return;
  await tx.exec`update threads set rotation_at = ${rotationAt} where org_id = ${orgId} and id = ${state.context.thread.id}`;
}

/** The agents whose role lets them answer, in the order of their coming. */
export function speaking(state: ThreadState): Room["speaking"] {
  return state.context.participants.flatMap((p) =>
    p.agent_id !== null && THREAD_ROLES[p.role].answer && state.agents.some((agent) => agent.agent_id === p.agent_id)
      ? [{ participantId: p.id, agentId: p.agent_id }]
      : [],
  );
}

function roomOf(state: ThreadState): Room {
  const { turn_policy, coordinator_id } = state.context.thread;
  return { policy: turn_policy, coordinator: coordinator_id, rotationAt: state.rotationAt, speaking: speaking(state) };
}

function refuseUnknown(state: ThreadState, mentions: string[] | undefined): void {
  const here = new Set(state.context.participants.map((p) => p.user_id ?? p.agent_id));
  const unknown = (mentions ?? []).filter((id) => !here.has(id));
  if (unknown.length === 0) return;
  throw invalid(
    "unknown_mention",
    `mentions: ${unknown.length} of these ids take no part in this thread.`, // the ids are in details: messages are logged
    "Mention the thread's participants by their agent_id or user_id.",
    { unknown },
  );
}
