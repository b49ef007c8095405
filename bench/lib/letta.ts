/** Letta as its own REST API offers it: what arm L and the comparison of histories need. */
import type { Sample } from "./arms";
import { type Api, call, postAndStream, type StreamEvent } from "./http";

export const EMBEDDING = "openai/text-embedding-3-small";

/** An event of Letta's message stream with text of the agent. */
export function isLettaText({ data }: StreamEvent): boolean {
  if (data === "[DONE]") return false;
  const event = JSON.parse(data) as { message_type?: string; content?: unknown };
  return (
    event.message_type === "assistant_message" && (typeof event.content === "string" ? event.content !== "" : true)
  );
}

/** A Letta organization and user of the bench's own, as headers for its requests. */
export async function createTenant(admin: Api, name: string): Promise<Record<string, string>> {
  const { id } = await call<{ id: string }>(admin, "POST", "/v1/admin/orgs/", { name });
  const user = await call<{ id: string }>(admin, "POST", "/v1/admin/users/", { name, organization_id: id });
  return { ...admin.headers, user_id: user.id };
}

export async function createAgent(letta: Api, model: string, more: object = {}): Promise<string> {
  const agent = await call<{ id: string }>(letta, "POST", "/v1/agents/", {
    name: `bench-${Math.random().toString(36).slice(2, 10)}`,
    agent_type: "letta_v1_agent",
    system: "You are Ada, who answers people in a thread.",
    model: `openai-proxy/${model}`,
    embedding: EMBEDDING,
    include_base_tools: false,
    memory_blocks: [
      { label: "persona", value: "I am Ada." },
      { label: "human", value: "Several people." },
    ],
    ...more,
  });
  return agent.id;
}

export async function createConversation(letta: Api, agentId: string): Promise<string> {
  return (await call<{ id: string }>(letta, "POST", `/v1/conversations/?agent_id=${agentId}`, {})).id;
}

export async function forkConversation(letta: Api, conversationId: string): Promise<string> {
  return (await call<{ id: string }>(letta, "POST", `/v1/conversations/${conversationId}/fork`)).id;
}

/** One message to a conversation, its answer streamed by token: the call Graphyn makes. */
export function sendToConversation(letta: Api, conversationId: string, content: string): Promise<Sample> {
  return postAndStream(letta, `/v1/conversations/${conversationId}/messages`, lettaMessage(content), isLettaText);
}

export function lettaMessage(content: string): object {
  return { messages: [{ role: "user", content }], streaming: true, stream_tokens: true, include_pings: true };
}

/** The same to the agent's own single history, by the deprecated endpoint. */
export function sendToAgent(letta: Api, agentId: string, messages: object[]): Promise<Sample> {
  return postAndStream(
    letta,
    `/v1/agents/${agentId}/messages/stream`,
    { messages, stream_tokens: true, include_pings: true },
    isLettaText,
  );
}

/** The same to the agent's own single history, by the conversation endpoint. */
export function sendToDefaultConversation(letta: Api, agentId: string, content: string): Promise<Sample> {
  return postAndStream(
    letta,
    "/v1/conversations/default/messages",
    {
      agent_id: agentId,
      messages: [{ role: "user", content }],
      streaming: true,
      stream_tokens: true,
      include_pings: true,
    },
    isLettaText,
  );
}
