import { dispatch, tenant } from "../../db/tenant";
import { findOpenTurn, type OpenTurn } from "./open-turns";

/** What a request of Letta's says of itself. All of it is checked: an agent's memory holds people's text, and so could its prompt. */
export interface LettaRequest {
  /** Letta's user: the tenant. */
  user: string;
  /** From the end of the system message; null for what Letta asks on its own account, such as summaries. */
  agentId: string | null;
  conversationId: string | null;
  /** Whether somebody says this in it, in so many words. */
  says(content: string): boolean;
}

export type AskedBy =
  /** A turn of this process. */
  | { kind: "turn"; turn: OpenTurn }
  /** A turn that another process runs, at this address. */
  | { kind: "elsewhere"; orgId: string; owner: string }
  /** Letta itself, for an organization. */
  | { kind: "letta"; orgId: string }
  | { kind: "nobody"; why: string };

const METADATA = "<memory_metadata>";
const ORGS_CACHED_MAX = 10_000;

interface ChatMessage {
  role?: unknown;
  content?: unknown;
}

/** Reads tenant, agent and conversation off a chat request. The last metadata block counts: Letta writes it after everything else. */
export function readLettaRequest(body: { user?: unknown; messages?: unknown }): LettaRequest {
  const messages = Array.isArray(body.messages) ? (body.messages as ChatMessage[]) : [];
  const first = messages[0];
  const system = first?.role === "system" && typeof first.content === "string" ? first.content : "";
  const metadata = system.slice(Math.max(0, system.lastIndexOf(METADATA)));
  const inMetadata = system.includes(METADATA);
  const find = (pattern: RegExp) => (inMetadata ? (pattern.exec(metadata)?.[1] ?? null) : null);
  return {
    user: typeof body.user === "string" ? body.user : "",
    agentId: find(/^- AGENT_ID: (agent-[0-9a-f-]{36})$/m),
    conversationId: find(/^- CONVERSATION_ID: (conv-[0-9a-f-]{36})$/m),
    says: (content) =>
      messages.some((message) => message.role === "user" && textOf(message.content).trim() === content.trim()),
  };
}

/** A content is text, or a list of parts of which some are. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return (content as { text?: unknown }[]).map(({ text }) => (typeof text === "string" ? text : "")).join("");
}

/**
 * Whose request it is. Tenant, agent, conversation and running turn must belong together, or it is nobody's. Nor is one that came late: Letta
 * asked it for an earlier turn of the conversation, and it waited in a process that stood still, or on the way. It lacks what the
 * running turn was told, and its answer would be mixed into the running one's.
 */
export async function askedBy({ user, agentId, conversationId, says }: LettaRequest): Promise<AskedBy> {
  if (conversationId !== null) {
    const turn = findOpenTurn(conversationId);
    if (turn) {
      if (turn.lettaUserId !== user || turn.lettaAgentId !== agentId)
        return { kind: "nobody", why: "the turn belongs to another tenant or agent" };
      if (!says(turn.content)) return { kind: "nobody", why: "it was asked for an earlier turn" };
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
