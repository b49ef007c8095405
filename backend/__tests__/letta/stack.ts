import { randomUUID } from "node:crypto";
import {
  type AskLetta,
  createLetta,
  type Letta,
  type LettaEvent,
  type LettaLimits,
  type LettaOrg,
  type LettaTenant,
} from "../../lib/letta-client";

export function lettaUrl(): string {
  return need("LETTA_API_URL").split(",")[0] ?? "";
}

export function lettaApiKey(): string {
  return need("LETTA_API_KEY");
}

function need(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with ./graphyn test`);
  return value;
}

export function newLetta(limits: Partial<LettaLimits> = {}, urls: string[] = [lettaUrl()]): Letta {
  return createLetta({ urls, apiKey: lettaApiKey(), limits });
}

export interface TestTenant extends LettaTenant {
  lettaOrgId: string;
}

/** An organization of its own in Letta: Letta organization, user, identity, base tools. */
export async function newTenant(letta: Letta): Promise<TestTenant> {
  const orgId = `test${randomUUID().slice(0, 8)}`;
  const lettaOrgId = await letta.admin.createOrganization(`test ${orgId}`);
  const lettaUserId = await letta.admin.createUser(`test ${orgId}`, lettaOrgId);
  const without = letta.as({ orgId, lettaUserId, identityId: "" });
  const identityId = await without.identity.upsert(`test ${orgId}`);
  await without.tools.addBaseTools();
  return { orgId, lettaOrgId, lettaUserId, identityId };
}

/** An agent on one of the dev model's models, and a conversation with it. */
export async function newConversation(org: LettaOrg, model = "dev", name = "Ada") {
  const agent = await org.agents.create({
    name,
    system: `You are ${name}.`,
    model: `openai-proxy/${model}`,
    toolIds: [],
    blockIds: [],
    tags: ["test"],
    metadata: {},
  });
  return { agent, conversationId: await org.conversations.create(agent.id) };
}

/** Everything an answer says, or what was thrown. */
export async function listen(org: LettaOrg, message: AskLetta): Promise<{ events: LettaEvent[]; error: unknown }> {
  const events: LettaEvent[] = [];
  try {
    for await (const event of org.streamMessage(message)) events.push(event);
    return { events, error: null };
  } catch (error) {
    return { events, error };
  }
}

export function textOf(events: LettaEvent[]): string {
  return events.map((event) => (event.type === "text" ? event.text : "")).join("");
}

export async function until(holds: () => boolean | Promise<boolean>, msMax = 20_000): Promise<void> {
  const deadline = Date.now() + msMax;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`did not come true in ${msMax} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
