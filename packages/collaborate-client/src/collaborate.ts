import type {
  AckMessage,
  ByeMessage,
  ByeReason,
  ClientMessage,
  SendMessage,
  ServerMessage,
} from "../../../backend/realtime/protocol";
import { backoffMs } from "./backoff";
import type { CollaborateOptions, WebSocketConstructor, WebSocketLike } from "./options";
import { type Answered, ConnectionEnded, makePending } from "./pending";
import { makePeople, type People } from "./people";

/** `waiting`: before the next try to connect. `ended`: for good. */
export type State = "connecting" | "live" | "waiting" | "ended";
export type EndReason = ByeReason | "unauthenticated";

/** How long a connection may take until its welcome. */
const CONNECT_MS_MAX = 10_000;
/** A connection that lived for so long was a good one: the next wait is short again. */
const GOOD_MS_MIN = 10_000;
/** What holds until the server's welcome says otherwise. */
const SILENCE_MS_MAX = 25_000;
const ALIVE_LOOK_MS = 2_500;
const TYPING_MS = 6_000;

export interface Collaboration {
  readonly state: State;
  /** Where this client stands; give it to a later session. */
  readonly cursor: string | null;
  readonly tab: string;
  readonly people: Pick<People, "here" | "typing" | "reads">;
  /** Resolves once the server has stored it, however often the connection breaks meanwhile; rejects with `Refused`. */
  send(content: string, more?: Partial<Omit<SendMessage, "type" | "content">>): Promise<AckMessage>;
  /** Every turn of the thread without `turnId`. */
  cancel(turnId?: string): Promise<AckMessage>;
  react(messageId: string, emoji: string, more?: { remove?: boolean }): Promise<AckMessage>;
  read(seq: number): Promise<AckMessage>;
  /** Call it with every keystroke: it tells the server as seldom as it can. */
  typing(isTyping: boolean): void;
  /** Resolves with why it ended for good. */
  readonly ended: Promise<EndReason>;
  /** Leaves the thread: others see it at once. */
  leave(): Promise<EndReason>;
}

/** Takes part in a thread, and stays in it over broken connections: what was missed comes first, and nothing twice. */
export function collaborate(options: CollaborateOptions): Collaboration {
  const { url, apiKey, threadId, onEvent, onState } = options;
  const Socket = options.WebSocket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (!Socket) throw new Error("This runtime has no WebSocket: give one as options.WebSocket.");
  const pending = makePending();
  const people = makePeople(options);
  let tab = options.tab ?? crypto.randomUUID();
  let cursor = options.cursor ?? null;
  let state: State = "connecting";
  let socket: WebSocketLike | null = null;
  let failures = 0;
  let silenceMs = SILENCE_MS_MAX;
  let typingMs = TYPING_MS;
  let typedAt = Number.NEGATIVE_INFINITY;
  let isLeaving = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let pumping: ReturnType<typeof setTimeout> | undefined;
  let burst = 0;
  let perSecond = 1;
  let allowed = 0;
  let allowedAt = 0;
  let end: (reason: EndReason) => void = () => {};
  const ended = new Promise<EndReason>((resolve) => {
    end = resolve;
  });

  function be(next: State): void {
    if (state === next) return;
    state = next;
    onState?.(next);
  }
  function put(message: ClientMessage): void {
    if (state === "live") socket?.send(JSON.stringify(message));
  }
  function ask(message: Answered): Promise<AckMessage> {
    if (state === "ended") return Promise.reject(new ConnectionEnded("The collaboration has ended."));
    const answer = pending.add(message);
    pump();
    return answer;
  }
  /** Sends what may be sent now, no faster than the server takes it, and comes back for the rest. */
  function pump(): void {
    clearTimeout(pumping);
    while (state === "live") {
      const now = Date.now();
      allowed = Math.min(burst, allowed + ((now - allowedAt) * perSecond) / 1000);
      allowedAt = now;
      if (allowed < 1) {
        pumping = setTimeout(pump, Math.ceil(((1 - allowed) * 1000) / perSecond));
        return;
      }
      const next = pending.next(now);
      if (next === null) return;
      if (typeof next === "number") {
        pumping = setTimeout(pump, next);
        return;
      }
      allowed -= 1;
      put(next);
    }
  }
  function finish(reason: EndReason): void {
    if (state === "ended") return;
    clearTimeout(retry);
    clearTimeout(pumping);
    be("ended");
    socket?.close();
    pending.fail(new ConnectionEnded(`The collaboration ended: ${reason}.`));
    end(reason);
  }
  function comeBack(afterMs: number): void {
    if (state === "ended") return;
    be("waiting");
    retry = setTimeout(() => void connect(), backoffMs(failures++, afterMs));
  }

  async function connect(): Promise<void> {
    be("connecting");
    const given = await Promise.resolve(apiKey()).catch(() => null);
    if (given === null) return comeBack(0);
    const key = given;
    if ((state as State) === "ended" || !Socket) return;
    const query = new URLSearchParams({ tab, ...(cursor === null ? {} : { cursor }) });
    // Browsers cannot set headers here; Encore takes them from a subprotocol.
    const headers = btoa(JSON.stringify({ Authorization: `Bearer ${key}` }))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");
    const mine = new Socket(`${url.replace(/^http/, "ws")}/threads/${threadId}/collaborate?${query}`, [
      "encore-ws",
      `encore.dev.headers.${headers}`,
    ]);
    socket = mine;
    let heardAt = Date.now();
    let liveAt: number | null = null;
    let bye: ByeMessage | null = null;
    let isOver = false;
    const look = setInterval(() => {
      if (Date.now() - heardAt > (liveAt === null ? CONNECT_MS_MAX : silenceMs)) over();
    }, ALIVE_LOOK_MS);

    /** Once, whether the socket closed, failed, or is taken for dead: a dead one may never say that it closed. */
    function over(): void {
      if (isOver) return;
      isOver = true;
      clearInterval(look);
      mine.close();
      if (liveAt !== null && Date.now() - liveAt > GOOD_MS_MIN) failures = 0;
      if (isLeaving) finish("left");
      else if (bye && !bye.reconnect) finish(bye.reason);
      else if (liveAt === null && bye === null) void whyNot(key);
      else comeBack(bye?.after_ms ?? 0);
    }
    mine.onmessage = ({ data }: { data: unknown }) => {
      if (isOver) return;
      heardAt = Date.now();
      const message = JSON.parse(String(data)) as ServerMessage;
      if (message.type === "welcome") {
        liveAt = Date.now();
        tab = message.tab;
        silenceMs = message.limits.silence_ms_max;
        typingMs = message.limits.typing_ms;
        // Half of what the server takes: typing and pings are not counted here.
        burst = message.limits.burst_max / 2;
        perSecond = message.limits.messages_per_second / 2;
        allowed = burst;
        allowedAt = Date.now();
        be("live");
        pending.unsend();
        pump();
      }
      if (message.type === "bye") {
        bye = message;
        over();
      } else take(message);
    };
    mine.onclose = over;
    mine.onerror = over;
  }

  function take(message: ServerMessage): void {
    switch (message.type) {
      case "event":
        cursor = message.cursor ?? cursor;
        onEvent?.(message.event, message.cursor ?? null);
        break;
      case "ping":
        put({ type: "pong", id: message.id });
        break;
      case "ack":
        pending.ack(message);
        pump();
        break;
      case "refused":
        pending.refuse(message, Date.now());
        pump();
        break;
      default:
        people.take(message);
    }
  }

  /** A WebSocket does not tell why it was not opened; the same question by HTTP does. */
  async function whyNot(key: string): Promise<void> {
    const status = await fetch(`${url}/threads/${threadId}`, {
      headers: { Authorization: `Bearer ${key}` },
      signal: AbortSignal.timeout(CONNECT_MS_MAX),
    }).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 401) finish("unauthenticated");
    else comeBack(0);
  }

  void connect();
  return {
    get state() {
      return state;
    },
    get cursor() {
      return cursor;
    },
    get tab() {
      return tab;
    },
    people,
    send: (content, { id = crypto.randomUUID(), ...more } = {}) => ask({ type: "send", id, content, ...more }),
    cancel: (turnId) =>
      ask({ type: "cancel", id: crypto.randomUUID(), ...(turnId === undefined ? {} : { turn_id: turnId }) }),
    react: (messageId, emoji, more = {}) =>
      ask({ type: "react", id: crypto.randomUUID(), message_id: messageId, emoji, ...more }),
    read: (seq) => ask({ type: "read", id: crypto.randomUUID(), seq }),
    typing(isTyping) {
      const isStale = Date.now() - typedAt > typingMs / 2;
      if (isTyping && !isStale) return;
      typedAt = isTyping ? Date.now() : Number.NEGATIVE_INFINITY;
      put({ type: "typing", typing: isTyping });
    },
    ended,
    leave() {
      isLeaving = true;
      if (state !== "live") finish("left");
      put({ type: "leave" });
      return ended;
    },
  };
}
