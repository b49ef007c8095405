import type { AskAhead } from "../models/correlation/open-turns";

/** A version of an agent: what it is told, what it can do, which model speaks; one agent in Letta. Never changed, only followed by another. */
export interface AgentVersion {
  /** `agver_…` */
  id: string;
  /** `agent_…`, the same for all versions. */
  agent_id: string;
  /** Semantic version; the first is `0.1.0`. */
  version: string;
  /** The agent in Letta. Null until one that came from an archive is made there: soon, and when it is first asked. */
  letta_id: string | null;
  organization_id: string;
  name: string;
  system_prompt: string;
  tools: string[];
  /** Letta's handle of the model, `provider/name`. */
  model: string;
  /** The person who made it. */
  created_by: string;
  /** RFC 3339. */
  created_at: string;
}

export interface Agent {
  /** `agent_…` */
  id: string;
  organization_id: string;
  name: string;
  /** The version that answers in threads. */
  current_version: AgentVersion;
  /** Whether its model is asked ahead of Letta: `auto` where that pays. */
  ask_ahead: "auto" | "on" | "off";
  created_by: string;
  /** RFC 3339. */
  created_at: string;
}

export interface VersionRow {
  id: string;
  agent_id: string;
  version: string;
  letta_id: string | null;
  org_id: string;
  name: string;
  system_prompt: string;
  tools: string[];
  model: string;
  created_by: string;
  created_at: Date;
}

export function versionOf({ org_id, created_at, ...row }: VersionRow): AgentVersion {
  return { ...row, organization_id: org_id, created_at: created_at.toISOString() };
}

export interface AgentRow extends VersionRow {
  agent_name: string;
  agent_created_by: string;
  agent_created_at: Date;
  ask_ahead: AskAhead;
}

export function agentOf({ agent_name, agent_created_by, agent_created_at, ask_ahead, ...version }: AgentRow): Agent {
  return {
    id: version.agent_id,
    organization_id: version.org_id,
    name: agent_name,
    current_version: versionOf(version),
    ask_ahead,
    created_by: agent_created_by,
    created_at: agent_created_at.toISOString(),
  };
}
