/** The two organizations of a stack, with agents whose words are known. */

import type { Turn, Words } from "../../backend/__tests__/harness/oracle/history";
import { newAgent, newOrganization, ok } from "../../backend/__tests__/harness/organization";
import type { Party } from "./party";
import type { Chaos } from "./stack";

const COUNTS = 20;
const COUNTS_LONG = 100;
/** What the agent that misbehaves would say, if it did not. */
export const MISBEHAVES = 30;
const MODELS = {
  counts: `dev-n${COUNTS}-r20`,
  counts_long: `dev-n${COUNTS_LONG}-r20`,
  echoes: "dev-echo-r20",
  misbehaves: "dev-rate-50",
} as const;

export async function makeParties({ nodes, secrets, adminUrl }: Chaos, canaries: readonly string[]): Promise<Party[]> {
  const at = { url: nodes[0]?.url ?? "", adminKey: secrets.adminKey, databaseUrl: "", adminUrl };
  return Promise.all(
    canaries.map(async (canary) => {
      const org = await newOrganization(at, "Chaos");
      const agents = {} as Record<keyof typeof MODELS, string>;
      for (const [name, model] of Object.entries(MODELS))
        agents[name as keyof typeof MODELS] = await newAgent(org, `Agent who ${name}`, `openai-proxy/${model}`);
      return { orgId: org.orgId, apiKey: org.apiKey, canary, agents, answers: [], posted: [] };
    }),
  );
}

/** What the agents' models say: numbers, so that one that is missing, or said twice, shows. */
export function wordsOf(parties: readonly Party[]): Words {
  const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1).join(" ");
  const says = new Map(
    parties.flatMap(({ agents }) => [
      [agents.counts, (_: Turn): string | null => numbers(COUNTS)],
      [agents.counts_long, () => numbers(COUNTS_LONG)],
      [
        agents.misbehaves,
        ({ question }: Turn) =>
          question.includes("\n!tokens ") && !question.includes("\n!garbage") ? numbers(MISBEHAVES) : null,
      ],
    ]),
  );
  return (turn) => says.get(turn.agent_id)?.(turn) ?? null;
}

/** A thread with these agents. */
export async function makeThread(
  party: Party,
  url: string,
  agents: readonly (keyof Party["agents"])[],
): Promise<string> {
  const response = fetch(`${url}/threads`, {
    method: "POST",
    headers: { authorization: `Bearer ${party.apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({ title: party.canary, agents: agents.map((name) => party.agents[name]) }),
  });
  const answer = response.then(async (given) => ({
    status: given.status,
    body: (await given.json()) as { thread: { id: string } },
  }));
  return (await ok(answer)).thread.id;
}
