import { api } from "encore.dev/api";
import type { Max, MaxLen, Min } from "encore.dev/validate";
import { type Tx, tenant, tenantPage } from "../db/tenant";
import { invalid, notFound } from "../lib/errors";
import { afterAll, isId } from "../lib/ids";
import { whole } from "../lib/whole";
import { type GuessFigures, guessFigures } from "../models/ask-ahead/guess-figures";
import { caller } from "../organizations/caller";
import { type Agent, type AgentRow, type AgentVersion, agentOf, type VersionRow, versionOf } from "./agent";

const PAGE_DEFAULT = 50;

interface ListAgentsRequest {
  limit?: number & (Min<1> & Max<200>);
  /** `next_cursor` of the page before. */
  cursor?: string & MaxLen<64>;
}

interface ListAgentsResponse {
  agents: Agent[];
  /** Null on the last page. */
  next_cursor: string | null;
}

/** The organization's agents with their current versions, newest first. */
export const listAgents = api(
  { expose: true, auth: true, method: "GET", path: "/agents" },
  async ({ limit = PAGE_DEFAULT, cursor }: ListAgentsRequest): Promise<ListAgentsResponse> => {
    const { orgID } = caller();
    whole("limit", limit);
    const before = cursorId("agent", cursor);
    const rows = await tenantPage(
      orgID,
      (tx) => tx.queryAll<AgentRow>`
        select v.id, v.agent_id, v.version, v.letta_id, v.org_id, v.name, v.system_prompt, v.tools, v.model, v.created_by, v.created_at,
               a.name as agent_name, a.created_by as agent_created_by, a.created_at as agent_created_at, a.ask_ahead
        from agents a cross join lateral (
          select * from agent_versions where org_id = a.org_id and id = a.current_version_id limit 1) v
        where a.org_id = ${orgID} and a.id < ${before}
        order by a.id desc limit ${limit + 1}`,
    );
    const agents = rows.slice(0, limit).map(agentOf);
    return { agents, next_cursor: rows.length > limit ? (agents.at(-1)?.id ?? null) : null };
  },
);

interface AgentWithGuesses extends Agent {
  guesses: GuessFigures;
}

/** One agent with its current version, and how asking its model ahead has fared. */
export const getAgent = api(
  { expose: true, auth: true, method: "GET", path: "/agents/:id" },
  async ({ id }: { id: string }): Promise<AgentWithGuesses> => {
    const { orgID } = caller();
    return tenant(orgID, async (tx) => ({
      ...(await requireAgent(tx, orgID, id)),
      guesses: await guessFigures(tx, orgID, id),
    }));
  },
);

/** The agent, or the one answer for "not there". */
export async function requireAgent(tx: Tx, orgId: string, id: string): Promise<Agent> {
  if (!isId("agent", id)) throw notFound("agent");
  const row = await tx.queryRow<AgentRow>`
    select v.id, v.agent_id, v.version, v.letta_id, v.org_id, v.name, v.system_prompt, v.tools, v.model, v.created_by, v.created_at,
           a.name as agent_name, a.created_by as agent_created_by, a.created_at as agent_created_at, a.ask_ahead
    from agents a join agent_versions v on v.org_id = a.org_id and v.id = a.current_version_id
    where a.org_id = ${orgId} and a.id = ${id}`;
  if (!row) throw notFound("agent");
  return agentOf(row);
}

interface ListVersionsRequest {
  id: string;
  limit?: number & (Min<1> & Max<200>);
  /** `next_cursor` of the page before. */
  cursor?: string & MaxLen<64>;
}

interface ListVersionsResponse {
  versions: AgentVersion[];
  /** Null on the last page. */
  next_cursor: string | null;
}

/** An agent's versions, newest first. */
export const listAgentVersions = api(
  { expose: true, auth: true, method: "GET", path: "/agents/:id/versions" },
  async ({ id, limit = PAGE_DEFAULT, cursor }: ListVersionsRequest): Promise<ListVersionsResponse> => {
    const { orgID } = caller();
    if (!isId("agent", id)) throw notFound("agent");
    whole("limit", limit);
    const before = cursorId("agver", cursor);
    const rows = await tenantPage(orgID, async (tx) => {
      const agent =
        await tx.queryRow`select id from agents where org_id = ${orgID} and id = ${id} and current_version_id is not null`;
      if (!agent) throw notFound("agent");
      return tx.queryAll<VersionRow>`
        select id, agent_id, version, letta_id, org_id, name, system_prompt, tools, model, created_by, created_at from agent_versions
        where org_id = ${orgID} and agent_id = ${id} and state in ('ready', 'imported') and id < ${before}
        order by id desc limit ${limit + 1}`;
    });
    const versions = rows.slice(0, limit).map(versionOf);
    return { versions, next_cursor: rows.length > limit ? (versions.at(-1)?.id ?? null) : null };
  },
);

function cursorId(prefix: "agent" | "agver", cursor: string | undefined): string {
  if (cursor === undefined) return afterAll(prefix);
  if (isId(prefix, cursor)) return cursor;
  throw invalid(
    "invalid_cursor",
    "This cursor is not one that was given out.",
    "Send next_cursor of the page before, or none.",
    {
      context: null,
    },
  );
}
