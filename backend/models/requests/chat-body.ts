/** A request for a chat completion, as Letta makes it and as upstreams are asked. */
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
