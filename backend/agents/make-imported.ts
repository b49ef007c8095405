/**
 * Agents that came with an archive (backend/archive) are rows here and nothing in Letta. They are made there as their versions say, with an
 * empty memory: soon after the import, and before that where somebody speaks to one. What was said they are told anew, as the threads have it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import log from "encore.dev/log";
import { tenant } from "../db/tenant";
import { LettaError } from "../lib/letta-client";
import { remakeAgent } from "./remake-agent";

/** How long an agent belongs to whoever makes it, without a sign of life. */
const LEASE = "30 seconds";
const HEARTBEAT_MS = 10_000;
/** How long a turn waits for an agent that somebody else is making; then it is tried again as when Letta is away. */
const WAIT_MS_MAX = 60_000;
const LOOK_MS = 250;
/** Agents of one organization that are made one after the other before others' have their turn. */
const AGENTS_MAX = 500;

const underWay = new Set<string>();

/** The agent in Letta of a version, which is made there if it is not. Throws LettaError. */
export async function lettaIdOf(
  orgId: string,
  seat: { agent_id: string; agent_version_id: string; letta_id: string | null },
): Promise<string> {
  if (seat.letta_id !== null) return seat.letta_id;
  await madeInLetta(orgId, seat.agent_id);
  const row = await tenant(
    orgId,
    (tx) => tx.queryRow<{ letta_id: string | null }>`
      select letta_id from agent_versions where org_id = ${orgId} and id = ${seat.agent_version_id}`,
  );
  if (row?.letta_id) return row.letta_id;
  throw new LettaError("not_found", { code: "agent_not_made" });
}

/** Resolves when all of the agent's versions are in Letta; nothing is asked of Letta where they are. Throws LettaError. */
export async function madeInLetta(orgId: string, agentId: string): Promise<void> {
  const until = performance.now() + WAIT_MS_MAX;
  while (await isImported(orgId, agentId)) {
    if (await takeLease(orgId, agentId)) return make(orgId, agentId);
    if (performance.now() > until) throw new LettaError("unavailable", { code: "agent_being_made" });
    await sleep(LOOK_MS);
  }
}

/** Makes the organization's agents that are not in Letta yet, one after the other. Never throws: the reconciler begins anew. */
export async function makeAllImported(orgId: string): Promise<void> {
  if (underWay.has(orgId)) return;
  underWay.add(orgId);
  try {
    const agents = await tenant(
      orgId,
      (tx) => tx.queryAll<{ agent_id: string }>`
        select distinct agent_id from agent_versions where org_id = ${orgId} and state = 'imported' order by agent_id limit ${AGENTS_MAX}`,
    );
    for (const { agent_id } of agents) await madeInLetta(orgId, agent_id);
  } catch (error) {
    log.warn("agents from an archive could not be made in Letta; it is tried again", {
      org_id: orgId,
      error: error instanceof Error ? error.name : "unknown",
    });
  } finally {
    underWay.delete(orgId);
  }
}

async function isImported(orgId: string, agentId: string): Promise<boolean> {
  const row = await tenant(
    orgId,
    (tx) => tx.queryRow`
      select 1 as found from agent_versions where org_id = ${orgId} and agent_id = ${agentId} and state = 'imported' limit 1`,
  );
  return row !== null;
}

async function make(orgId: string, agentId: string): Promise<void> {
  const heartbeat = setInterval(() => void prolong(orgId, agentId, LEASE).catch(() => undefined), HEARTBEAT_MS);
  try {
    await remakeAgent(orgId, agentId, async () => {});
    log.info("an agent from an archive was made in Letta", { org_id: orgId, agent_id: agentId });
  } finally {
    clearInterval(heartbeat);
    await prolong(orgId, agentId, "0 seconds").catch(() => undefined); // else the next one waits for the lease's end
  }
}

async function takeLease(orgId: string, agentId: string): Promise<boolean> {
  const taken = await tenant(
    orgId,
    (tx) => tx.queryRow`
      update agents set make_until = now() + ${LEASE}::text::interval
      where org_id = ${orgId} and id = ${agentId} and (make_until is null or make_until < now()) returning id`,
  );
  return taken !== null;
}

async function prolong(orgId: string, agentId: string, by: string): Promise<void> {
  await tenant(
    orgId,
    (tx) => tx.exec`
      update agents set make_until = now() + ${by}::text::interval where org_id = ${orgId} and id = ${agentId}`,
  );
}
