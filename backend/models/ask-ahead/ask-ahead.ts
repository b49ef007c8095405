/**
 * Asking ahead: Letta needs 100 to 200 ms of bookkeeping before it asks the model, and what it will ask can be known: its last request
 * of the conversation, the answer to it, and the new message. In a conversation that begins, the system message that Letta has stored,
 * and everything else as in the agent's other conversations. So the model is asked at once with that guess, and when Letta's own
 * request comes and is equal, it is answered from the answer already under way. Nothing of a guess is shown before it is confirmed.
 */
import type { ChatBody, ChatMessage } from "../requests/chat-body";
import { sameBody } from "./canonical";
import { createRecent } from "./recent";

/** A conversation in Letta, with the agent that it is of. */
export interface Conversation {
  readonly conversationId: string;
  readonly lettaAgentId: string;
}

/** The messages that Letta's next request of a conversation begins with. */
type Past = ChatMessage[];

const pasts = createRecent<{ body: ChatBody; past: Past }>({ entriesMax: 2_000, charsMax: 64 << 20 });
/** The system messages of conversations in which nothing was said yet. */
const openings = createRecent<string>({ entriesMax: 2_000, charsMax: 16 << 20 });
/** What all requests of an agent have in common, by Letta's agent: its tools and settings. Without messages. */
const templates = createRecent<ChatBody>({ entriesMax: 2_000, charsMax: 16 << 20 });

/** Keeps what Letta asked and what it was answered, for the next guess. Of an empty answer Letta keeps nothing. */
export function remember({ conversationId, lettaAgentId }: Conversation, body: ChatBody, reply: string): void {
  const past = reply === "" ? body.messages : [...body.messages, { role: "assistant", content: reply }];
  const chars = JSON.stringify(body).length;
  pasts.set(conversationId, { body, past }, chars + reply.length);
  const template = { ...body, messages: [] };
  templates.set(lettaAgentId, template, JSON.stringify(template).length);
}

/** Forgets a conversation while it goes on in a way that cannot be known yet. `recall` takes that back: Letta kept nothing of it. */
export function forget({ conversationId }: Conversation): { recall(): void } {
  const opening = openings.delete(conversationId);
  const known = pasts.delete(conversationId);
  return {
    recall() {
      if (opening !== undefined) openings.set(conversationId, opening, opening.length);
      if (known !== undefined) pasts.set(conversationId, known, JSON.stringify(known.body).length);
    },
  };
}

/**
 * Whether Letta's request has the last answer of its conversation less often than it was given, as far as that is known here: then Letta
 * has compacted the conversation, or has not stored that answer. Look before `forget`.
 */
export function lacksLastAnswer({ conversationId }: Conversation, { messages }: ChatBody): boolean {
  const past = pasts.get(conversationId)?.past;
  const last = past?.at(-1);
  if (past === undefined || last?.role !== "assistant") return false;
  const times = (all: ChatMessage[]) =>
    all.filter(({ role, content }) => role === "assistant" && content === last.content).length;
  return times(messages) < times(past);
}

/** Whether a conversation of this agent that begins could be guessed, were its system message known. */
export function knowsAgent(lettaAgentId: string): boolean {
  return templates.get(lettaAgentId) !== undefined;
}

/** Keeps the system message that Letta has made for a new conversation. */
export function rememberOpening(conversationId: string, systemMessage: string): void {
  openings.set(conversationId, systemMessage, systemMessage.length);
}

/** What Letta will ask when it is told `content`; null when that cannot be known. */
export function predict({ conversationId, lettaAgentId }: Conversation, content: string): ChatBody | null {
  const said = { role: "user", content };
  const known = pasts.get(conversationId);
  if (known) return { ...known.body, messages: [...known.past, said] };
  const template = templates.get(lettaAgentId);
  const opening = openings.get(conversationId);
  if (template === undefined || opening === undefined) return null;
  return { ...template, messages: [{ role: "system", content: opening }, said] };
}

/** Whether two requests ask the same of a model, whatever the order of their fields. */
export function sameRequest(a: ChatBody, b: ChatBody): boolean {
  return sameBody(a, b);
}
