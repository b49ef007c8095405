/**
 * Which agents answer a person's message. Pure: what the thread's rows say goes in, ids come out.
 *
 * | the message            | all         | mentioned | round_robin                 | coordinator     |
 * |------------------------|-------------|-----------|-----------------------------|-----------------|
 * | addresses nobody       | every agent | nobody    | the next agent in the order | the coordinator |
 * | addresses agents       | these       | these     | these, out of turn          | the coordinator |
 * | addresses people only  | nobody      | nobody    | nobody                      | nobody          |
 * | `mentions: []`         | nobody      | nobody    | nobody                      | nobody          |
 *
 * In every policy an agent's answer that addresses other agents hands them the word: hand-on.ts. Listeners never answer.
 */
export type TurnPolicy = "all" | "mentioned" | "round_robin" | "coordinator";

/** Why no agent answers. */
export type NoAnswerReason =
  | "no_agents"
  | "nobody_asked"
  | "people_mentioned"
  | "listeners_mentioned"
  | "nobody_mentioned"
  | "no_coordinator";

export interface Room {
  policy: TurnPolicy;
  /** An agent's id. */
  coordinator: string | null;
  /** The participant to whom the rotation gave the word last. */
  rotationAt: string | null;
  /** The agents that may answer, in the order of their participant ids, which is that of their coming. */
  speaking: { participantId: string; agentId: string }[];
}

/** Whom a message addresses. */
export interface Addressed {
  agents: string[];
  people: string[];
  /** Whether it says itself who is to answer, and names nobody: `mentions: []`. */
  nobody: boolean;
}

export interface Choice {
  /** Agent ids. */
  agents: string[];
  /** Where the rotation stands afterwards. */
  rotationAt: string | null;
  /** Null when somebody answers. */
  noAnswer: NoAnswerReason | null;
}

/** Chooses who answers a person's message. */
export function chooseAgents(room: Room, addressed: Addressed): Choice {
  const { policy, coordinator, rotationAt, speaking } = room;
  const nobody = (noAnswer: NoAnswerReason): Choice => ({ agents: [], rotationAt, noAnswer });
  const these = (agents: string[]): Choice => ({ agents, rotationAt, noAnswer: null });
  if (addressed.nobody) return nobody("nobody_asked");
  if (addressed.agents.length === 0 && addressed.people.length > 0) return nobody("people_mentioned");
  if (speaking.length === 0) return nobody("no_agents");

  if (policy === "coordinator") {
    const here = speaking.find(({ agentId }) => agentId === coordinator);
    return here ? these([here.agentId]) : nobody("no_coordinator");
  }
  if (addressed.agents.length > 0) {
    const answering = speaking.filter(({ agentId }) => addressed.agents.includes(agentId));
    return answering.length > 0 ? these(answering.map(({ agentId }) => agentId)) : nobody("listeners_mentioned");
  }
  switch (policy) {
    case "all":
      return these(speaking.map(({ agentId }) => agentId));
    case "mentioned":
      return nobody("nobody_mentioned");
    case "round_robin": {
      const next =
        speaking.find(({ participantId }) => rotationAt === null || participantId > rotationAt) ?? speaking[0];
      return next ? { agents: [next.agentId], rotationAt: next.participantId, noAnswer: null } : nobody("no_agents");
    }
  }
}
