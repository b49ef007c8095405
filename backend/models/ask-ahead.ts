import { canonical } from "./canonical";

/**
 * Asking ahead: Letta needs 100 to 200 ms of bookkeeping before it asks the model, and what it will ask can be known: its last request
 * of the conversation, the answer to it, and the new message. So the model is asked at once with that guess, and when Letta's own
 * request comes and is equal, it is answered from the answer already under way. Nothing of a guess is shown before it is confirmed.
 */
export interface ChatBody {
  model?: unknown;
  messages: ChatMessage[];
  [more: string]: unknown;
}

export interface ChatMessage {
  role: string;
  content?: unknown;
  [more: string]: unknown;
}

interface Remembered {
  body: ChatBody;
  /** The model's answer, when it was text alone: after a tool call Letta asks again by itself, and the guess would be another. */
  reply: string | null;
  chars: number;
}

/** Conversations remembered, the one used longest ago going first. */
const CONVERSATIONS_MAX = 2_000;
/** Characters remembered over all conversations. */
const REMEMBERED_CHARS_MAX = 64 << 20;

const remembered = new Map<string, Remembered>();
let rememberedChars = 0;

/** Keeps what Letta asked and what it was answered, for the next guess in this conversation. */
export function remember(conversationId: string, body: ChatBody, reply: string | null): void {
  forget(conversationId);
  const chars = JSON.stringify(body).length + (reply?.length ?? 0);
  if (chars > REMEMBERED_CHARS_MAX / 16) return;
  remembered.set(conversationId, { body, reply, chars });
  rememberedChars += chars;
  while (remembered.size > CONVERSATIONS_MAX || rememberedChars > REMEMBERED_CHARS_MAX) {
    const oldest = remembered.keys().next().value;
    if (oldest === undefined) break;
    forget(oldest);
  }
}

export function forget(conversationId: string): void {
  rememberedChars -= remembered.get(conversationId)?.chars ?? 0;
  remembered.delete(conversationId);
}

/** What Letta will ask when it is told `content`; null when that cannot be known. */
export function predict(conversationId: string, content: string): ChatBody | null {
  const last = remembered.get(conversationId);
  if (!last || last.reply === null || last.reply === "") return null;
  return {
    ...last.body,
    messages: [...last.body.messages, { role: "assistant", content: last.reply }, { role: "user", content }],
  };
}

/** Whether two requests ask the same of a model, whatever the order of their fields. */
export function sameRequest(a: ChatBody, b: ChatBody): boolean {
  return canonical(a) === canonical(b);
}
