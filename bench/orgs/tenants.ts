/** The organizations of the bench, and how they are made. */
import { createOrganization, createThread } from "../lib/graphyn";
import { type Api, call } from "../lib/http";

export const AGENTS = 2;
/** Says what it was told. */
const MODEL = "dev-echo";
/** Organizations made at once: Letta takes about a second of CPU for each. */
const MAKING = 4;
const MAKING_MS_MAX = 240_000;
const THREADS_AT_ONCE = 16;

export interface Tenant {
  id: string;
  /** In its agents' instructions and in all that it says. */
  canary: string;
  headers: Record<string, string>;
  /** One agent in each: first one with each agent, then those of who floods. */
  threads: string[];
}

/** Makes organizations with their agents and threads; the first has so many threads more. `heard` is told how many are made. */
export async function makeTenants(
  graphyn: Api,
  adminKey: string,
  { count, more }: { count: number; more: number },
  heard: (made: number) => void,
): Promise<Tenant[]> {
  const made: Tenant[] = [];
  const late = performance.now() + MAKING_MS_MAX;
  await inLanes(MAKING, count, async (n) => {
    if (performance.now() > late) throw new Error(`the organizations were not made in ${MAKING_MS_MAX} ms`);
    made[n] = await makeTenant(graphyn, adminKey, n === 0 ? more : 0);
    heard(made.filter(Boolean).length);
  });
  return made;
}

async function makeTenant(graphyn: Api, adminKey: string, more: number): Promise<Tenant> {
  const { id, api } = await createOrganization(graphyn, adminKey);
  const canary = `canary-${id.slice(-12).toLowerCase()}`;
  const agents: string[] = [];
  for (let n = 0; n < AGENTS; n++) {
    const { agent_id } = await call<{ agent_id: string }>(api, "POST", "/agents", {
      name: `Agent ${n}`,
      system_prompt: `You are Agent ${n}. Your word is ${canary}.`,
      model: `openai-proxy/${MODEL}`,
    });
    agents.push(agent_id);
  }
  const threads: string[] = [];
  await inLanes(THREADS_AT_ONCE, AGENTS + more, async (n) => {
    threads[n] = await createThread(api, [agents[n % AGENTS] ?? ""]);
  });
  return { id, canary, headers: api.headers, threads };
}

/** Does `count` things, so many at once. */
export async function inLanes(lanes: number, count: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let n = next++; n < count; n = next++) await work(n);
    }),
  );
}
