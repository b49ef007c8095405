import type { ThreadEvent } from "../../../backend/lib/events";
import type { Person } from "../../../backend/realtime/protocol";
import type { State } from "./collaborate";

/** As browsers, Node 22, undici and ws have it. */
export interface WebSocketLike {
  send(text: string): void;
  close(): void;
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
}
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

export interface CollaborateOptions {
  /** Of the server, as `https://api.example.com`. */
  url: string;
  /** Asked for with each connection, so that it can be renewed. */
  apiKey: () => string | Promise<string>;
  threadId: string;
  /** This window's name; made once when absent. Keep it over reloads (sessionStorage) and others see no coming and going. */
  tab?: string;
  /** Go on after it, from an earlier session; without it the stored messages come first. */
  cursor?: string;
  /** The runtime's own when absent. */
  WebSocket?: WebSocketConstructor;
  /** Every entry of the log and every live event, once and in order. */
  onEvent?: (event: ThreadEvent, cursor: string | null) => void;
  /** A person came, went, or has other windows; `tabs` is empty for one who is gone. */
  onPerson?: (person: Person) => void;
  /** A person types, or does not any more: also when nobody said so for too long. */
  onTyping?: (userId: string, isTyping: boolean) => void;
  onRead?: (userId: string, seq: number) => void;
  onState?: (state: State) => void;
}
