import { invalid } from "../lib/errors";
import { ROLES } from "./roles";
import type { AgentSeat, ThreadState } from "./thread-context";

/** The agents that answer a message: those mentioned, or every agent of the thread. */
export function whoAnswers(state: ThreadState, mentions: string[] | undefined): AgentSeat[] {
  if (mentions === undefined) return speaking(state);
  const unknown = mentions.filter((id) => !state.agents.some((agent) => agent.agent_id === id));
  if (unknown.length > 0) {
    throw invalid(
      "unknown_mention",
      `mentions: ${unknown.length} of these ids are no agents of this thread.`, // the ids are in details: messages are logged
      "Mention agents by the agent_id of the thread's participants.",
      { unknown },
    );
  }
  return speaking(state).filter((agent) => mentions.includes(agent.agent_id));
}

/** The agents that may answer: whose role allows it. */
function speaking(state: ThreadState): AgentSeat[] {
  return state.agents.filter((agent) =>
    state.context.participants.some((p) => p.agent_id === agent.agent_id && ROLES[p.role].answer),
  );
}
