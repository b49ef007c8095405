import { dispatch, tenant } from "../../db/tenant";
import type { LettaRequest } from "./letta-request";
import { findOpenTurn, type OpenTurn } from "./open-turns";

export type AskedBy =
  /** A turn of this process. */
  | { kind: "turn"; turn: OpenTurn }
  /** A turn that another process runs, at this address. */
  | { kind: "elsewhere"; orgId: string; owner: string }
  /** Letta itself, for an organization. */
  | { kind: "letta"; orgId: string }
  | { kind: "nobody"; why: string };

const ORGS_CACHED_MAX = 10_000;

/**
 * Whose request it is. Tenant, agent, conversation and running turn must belong together, or it is nobody's. Nor is one that came late: Letta
 * asked it for an earlier turn of the conversation, and it waited in a process that stood still, or on the way. It lacks the message that the
 * running turn was told, be it in the very same words, and its answer would be mixed into the running one's.
 */
export async function askedBy({ user, agentId, conversationId, has }: LettaRequest): Promise<AskedBy> {
  if (conversationId !== null) {
    const turn = findOpenTurn(conversationId);
    if (turn) {
      if (turn.lettaUserId !== user || turn.lettaAgentId !== agentId)
        return { kind: "nobody", why: "the turn belongs to another tenant or agent" };
      if (!has(turn)) return { kind: "nobody", why: "it was asked for an earlier turn" };
      return { kind: "turn", turn };
    }
  }
  const orgId = await orgOfLettaUser(user);
  if (orgId === null) return { kind: "nobody", why: "unknown tenant" };
  if (conversationId === null) return { kind: "letta", orgId };
  const owner = await ownerOfTurn(orgId, agentId, conversationId);
  return owner === null
    ? { kind: "nobody", why: "no turn runs in this conversation" }
    : { kind: "elsewhere", orgId, owner };
}

const orgs = new Map<string, string>();

/** The organization of a Letta user; null when there is none. */
export async function orgOfLettaUser(user: string): Promise<string | null> {
  const known = orgs.get(user);
  if (known !== undefined) return known;
  const row = await dispatch(
    (tx) => tx.queryRow<{ org_id: string }>`
      select org_id from letta_tenants where letta_user_id = ${user} and ready_at is not null`,
  );
  if (!row) return null;
  if (orgs.size >= ORGS_CACHED_MAX) orgs.delete(orgs.keys().next().value as string);
  orgs.set(user, row.org_id);
  return row.org_id;
}

async function ownerOfTurn(orgId: string, agentId: string | null, conversationId: string): Promise<string | null> {
  const row = await tenant(
    orgId,
    (tx) => tx.queryRow<{ lease_owner: string }>`
      select t.lease_owner
      from agent_conversations c
        join agent_versions v on (v.org_id, v.id) = (c.org_id, c.agent_version_id)
        join turns t on (t.org_id, t.thread_id, t.agent_version_id, t.branch) = (c.org_id, c.thread_id, c.agent_version_id, c.branch)
      where c.org_id = ${orgId} and c.letta_conversation_id = ${conversationId} and v.letta_id = ${agentId}
        and t.state in ('queued', 'running') and t.lease_until > now() and t.lease_owner is not null
      order by t.id limit 1`,
  );
  return row?.lease_owner ?? null;
}
