import { farewell } from "./bye";
import {
  ALIVE_LOOK_MS,
  LIFETIME_JITTER,
  LIFETIME_MS,
  PING_CHARS,
  PING_MS,
  SILENCE_MS_MAX,
  UNREAD_CHARS_MAX,
} from "./limits";
import type { ByeReason, ServerMessage } from "./protocol";

/** The sending half of Encore's stream: it says neither how much waits to be sent nor why a connection ends. */
export interface Outlet {
  send(message: ServerMessage): Promise<void>;
  close(): Promise<void>;
}

/** One client's WebSocket, as the rest of the service sees it. */
export interface Connection {
  readonly isOpen: boolean;
  /** Characters sent of which the client has not shown that it read them. */
  readonly unread: number;
  /** Resolves with the reason the server ended it for, or null when the client went. */
  readonly ended: Promise<ByeReason | null>;
  /** `chars`: about how long the message is on the wire. */
  send(message: ServerMessage, chars?: number): void;
  /** The cursor that stands after what was sent last: the last message names it. */
  standAt(cursor: string): void;
  /** Says why, as the last message, and closes. What was sent before arrives before it. */
  bye(reason: ByeReason): void;
  /** The client is gone. */
  gone(): void;
  /** Something came from the client. */
  heard(): void;
  /** The client answered a ping: what was sent before that ping has been read. False when there was no such ping. */
  answered(pingId: string): boolean;
}

/** What a message costs besides the text in it. */
const FRAME_CHARS = 300;

/**
 * Encore's stream has an unbounded queue and no look at it, so how far behind a client is shows only in its answers: a ping goes out
 * every PING_CHARS and every PING_MS, and its answer confirms all that was sent before it.
 */
export function openConnection(outlet: Outlet): Connection {
  let isOpen = true;
  let sent = 0;
  let read = 0;
  let pings = 0;
  let pingedAt = 0;
  let pingedTime = performance.now();
  let heardTime = performance.now();
  let cursor: string | null = null;
  let end: (reason: ByeReason | null) => void = () => {};
  const ended = new Promise<ByeReason | null>((resolve) => {
    end = resolve;
  });
  /** How much was sent before each unanswered ping: as many as fit into UNREAD_CHARS_MAX and SILENCE_MS_MAX. */
  const asked = new Map<string, number>();
  const look = setInterval(alive, ALIVE_LOOK_MS);
  const life = setTimeout(() => connection.bye("lifetime"), LIFETIME_MS * (1 + Math.random() * LIFETIME_JITTER));

  function put(message: ServerMessage): void {
    // Encore's stream rejects, ours throws, once the connection is gone: the reading side hears of it by itself.
    void (async () => outlet.send(message))().catch(() => undefined);
  }
  function ping(): void {
    const id = `p${++pings}`;
    asked.set(id, sent);
    pingedAt = sent;
    pingedTime = performance.now();
    put({ type: "ping", id });
  }
  function alive(): void {
    const now = performance.now();
    if (now - heardTime > SILENCE_MS_MAX) connection.bye("unanswered_pings");
    else if (now - pingedTime >= PING_MS) ping();
  }
  function stop(reason: ByeReason | null): void {
    isOpen = false;
    clearInterval(look);
    clearTimeout(life);
    end(reason);
  }

  const connection: Connection = {
    get isOpen() {
      return isOpen;
    },
    get unread() {
      return sent - read;
    },
    ended,
    send(message, chars = 0) {
      if (!isOpen) return;
      if (sent - read > UNREAD_CHARS_MAX) return connection.bye("slow_reader");
      put(message);
      sent += chars + FRAME_CHARS;
      if (sent - pingedAt >= PING_CHARS) ping();
    },
    standAt(at) {
      cursor = at;
    },
    bye(reason) {
      if (!isOpen) return;
      put(farewell(reason, cursor));
      void (async () => outlet.close())().catch(() => undefined);
      stop(reason);
    },
    gone() {
      if (isOpen) stop(null);
    },
    heard() {
      heardTime = performance.now();
    },
    answered(pingId) {
      const at = asked.get(pingId);
      if (at === undefined) return false;
      read = Math.max(read, at);
      asked.delete(pingId);
      return true;
    },
  };
  return connection;
}
