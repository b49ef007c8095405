/** What a request of Letta's says of itself. All of it is checked: an agent's memory holds people's text, and so could its prompt. */
export interface LettaRequest {
  /** Letta's user: the tenant. */
  user: string;
  /** From the end of the system message; null for what Letta asks on its own account, such as summaries. */
  agentId: string | null;
  conversationId: string | null;
  /** Whether it has this message of ours in it: by the name that it was sent under, where Letta keeps names, else by its words. */
  has(message: { otid: string; content: string }): boolean;
}

const METADATA = "<memory_metadata>";

interface ChatMessage {
  role?: unknown;
  content?: unknown;
  name?: unknown;
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
    has: ({ otid, content }) => {
      const said = messages.filter(({ role }) => role === "user");
      if (said.some(({ name }) => name !== undefined)) return said.some(({ name }) => name === otid);
      return said.some((message) => textOf(message.content).trim() === content.trim());
    },
  };
}

/** The request without the names that our messages have in Letta: for us alone, and not for a model. */
export function withoutNames<T extends { messages?: unknown }>(body: T): T {
  if (!Array.isArray(body.messages)) return body;
  const messages = (body.messages as ChatMessage[]).map((message) => {
    if (message.role !== "user" || message.name === undefined) return message;
    const { name: _, ...rest } = message;
    return rest;
  });
  return { ...body, messages };
}

/** A content is text, or a list of parts of which some are. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return (content as { text?: unknown }[]).map(({ text }) => (typeof text === "string" ? text : "")).join("");
}
