import { inject } from "vitest";
import { adminQuery } from "../harness/database";
import { lettaApiKey, lettaUrl } from "./stack";

/** Letta's own REST and our rows, past Graphyn: what tests prove things by. */

export interface RawAgent {
  id: string;
  name: string;
  system: string;
  tags: string[];
  identities: { identifier_key: string; identity_type: string }[];
  blocks: { id: string; label: string }[];
  tools: { name: string }[];
}

export async function rest<T = unknown>(
  method: string,
  path: string,
  userId?: string,
  body?: unknown,
): Promise<{ status: number; body: T }> {
  const response = await fetch(lettaUrl() + path, {
    method,
    headers: {
      authorization: `Bearer ${lettaApiKey()}`,
      "content-type": "application/json",
      ...(userId === undefined ? {} : { user_id: userId }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json().catch(() => null)) as T };
}

export interface TenantInLetta {
  letta_org_id: string;
  letta_user_id: string;
  identity_id: string;
}

export async function tenantInLetta(orgId: string, adminUrl = inject("graphyn").adminUrl): Promise<TenantInLetta> {
  const [row] = await adminQuery<TenantInLetta>(adminUrl, "select * from letta_tenants where org_id = $1", [orgId]);
  if (!row) throw new Error(`no letta_tenants row of ${orgId}`);
  return row;
}

const INCLUDE = "include=agent.identities&include=agent.tags&include=agent.blocks&include=agent.tools";

/** Lists within an agent (blocks, tools, tags) come in no order of Letta's: here in one, so that two readings can be compared. */
export async function agentInLetta(lettaId: string, userId: string) {
  const answer = await rest<RawAgent>("GET", `/v1/agents/${lettaId}?${INCLUDE}`, userId);
  if (answer.status === 200) sortLists(answer.body);
  return answer;
}

function sortLists(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const inner of Object.values(value)) {
    sortLists(inner);
    if (Array.isArray(inner)) inner.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
}

export async function agentsInLetta(userId: string): Promise<RawAgent[]> {
  return (await rest<RawAgent[]>("GET", `/v1/agents/?limit=100&${INCLUDE}`, userId)).body;
}

export async function blocksInLetta(userId: string): Promise<{ id: string }[]> {
  return (await rest<{ id: string }[]>("GET", "/v1/blocks/?limit=100", userId)).body;
}

/** All of Letta's organizations or users whose name holds this text. */
export async function named(
  kind: "orgs" | "users",
  text: string,
): Promise<{ id: string; name: string; organization_id?: string }[]> {
  const found: { id: string; name: string; organization_id?: string }[] = [];
  for (let after = ""; ; ) {
    const page = (await rest<typeof found>("GET", `/v1/admin/${kind}/?limit=500${after && `&after=${after}`}`)).body;
    found.push(...page.filter((item) => item.name.includes(text)));
    const last = page.at(-1);
    if (page.length < 500 || !last) return found;
    after = last.id;
  }
}
