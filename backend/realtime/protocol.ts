import type { Message, ThreadEvent } from "../lib/events";
import type { CredentialEnd } from "../organizations/credential-end";
import type { ThreadContext } from "../threads/thread-context";
import type { Disposition, WhenBusy } from "../threads/turns/when-busy";
import type { NoAnswer } from "../threads/who-answers";

/**
 * Every message of `GET /threads/:id/collaborate`, both ways. The AsyncAPI document is made of these types (`npm run asyncapi`), and what
 * comes in is checked against it: this file is the only description there is.
 */

/**
 * The client's name for one of its messages: it comes back in the answer, and a message sent again with the same one counts once.
 * @minLength 1
 * @maxLength 200
 * @pattern ^[!-~]+$
 */
export type ClientMessageId = string;

/** Says something in the thread. */
export interface SendMessage {
  type: "send";
  id: ClientMessageId;
  /** 1 to 100 000 characters. */
  content: string;
  /** Ids of agents and people of the thread that it addresses, besides those its text names by @Name. */
  mentions?: string[];
  /** In whose name, for a program that speaks for its users (owners' and admins' keys). */
  sender_id?: string;
  /** What it does at an agent that is still answering; the thread's `when_busy` without it. */
  when_busy?: WhenBusy;
}

/** Stops an agent's turn, queued or running. What it said so far stays. */
export interface CancelMessage {
  type: "cancel";
  id: ClientMessageId;
  /** Every queued and running turn of the thread without it. */
  turn_id?: string;
}

/** Puts a reaction under a message, or takes it away. Done twice it counts once. */
export interface ReactMessage {
  type: "react";
  id: ClientMessageId;
  message_id: string;
  /**
   * One emoji, or a short name such as `+1`.
   * @minLength 1
   * @maxLength 32
   * @pattern ^\S+$
   */
  emoji: string;
  /** True takes it away. */
  remove?: boolean;
}

/** Has read everything up to `seq`. Positions only go forward. */
export interface ReadMessage {
  type: "read";
  id?: ClientMessageId;
  /**
   * @asType integer
   * @minimum 0
   * @maximum 9007199254740991
   */
  seq: number;
}

/** Is typing, or has stopped. Ends by itself after `limits.typing_ms`; say it again before while it goes on. */
export interface TypingMessage {
  type: "typing";
  id?: ClientMessageId;
  typing: boolean;
}

/** Asks whether the server is there; it answers with `pong`. */
export interface PingMessage {
  type: "ping";
  id?: ClientMessageId;
}

/** Answers the server's `ping`, with its id. A client that answers none is taken for gone. */
export interface PongMessage {
  type: "pong";
  id: ClientMessageId;
}

/** Leaves: others see it at once. Without it they see it some seconds after the connection broke, unless the client came back. */
export interface LeaveMessage {
  type: "leave";
  id?: ClientMessageId;
}

export type ClientMessage =
  | SendMessage
  | CancelMessage
  | ReactMessage
  | ReadMessage
  | TypingMessage
  | PingMessage
  | PongMessage
  | LeaveMessage;

/** One window of a person. */
export interface Tab {
  /** The client's own name for it, from the handshake. */
  tab: string;
  /** RFC 3339: here since. */
  since: string;
}

/** A person as they are here now. `tabs` is empty for one who is gone. */
export interface Person {
  user_id: string;
  name: string;
  tabs: Tab[];
}

export interface ReadPosition {
  user_id: string;
  /** The log's entries up to here have been read. */
  seq: number;
}

/** What holds on a connection. */
export interface Limits {
  /** The server pings so often. */
  ping_every_ms: number;
  /** Whoever hears nothing for so long takes the other for gone. */
  silence_ms_max: number;
  /** How long typing lasts when it is not said again. */
  typing_ms: number;
  messages_per_second: number;
  burst_max: number;
}

/** The first message: who is here and what holds on this connection. The thread's entries follow, from the cursor on. */
export interface WelcomeMessage {
  type: "welcome";
  connection_id: string;
  /** This window's name: the handshake's, or one the server made. Send it again when you come back. */
  tab: string;
  user_id: string;
  context: ThreadContext;
  people: Person[];
  reads: ReadPosition[];
  limits: Limits;
}

/** An entry of the log or a live event, the very same as in the stream of server-sent events. */
export interface EventMessage {
  type: "event";
  /** Where to go on after it, as the SSE `id`. Absent with what repeats a part: then the one before stays. */
  cursor?: string;
  event: ThreadEvent;
}

/** A person came, went, or has other windows: all there is to know of them, in place of what was known. */
export interface PersonMessage {
  type: "person";
  person: Person;
}

/** A person types, or does not any more. */
export interface TypingEvent {
  type: "typing";
  user_id: string;
  name: string;
  typing: boolean;
  /** How long it holds when nothing more is said; 0 when they stopped. */
  expires_in_ms: number;
}

/** A person has read further. */
export interface ReadEvent {
  type: "read";
  user_id: string;
  seq: number;
}

export interface TurnView {
  id: string;
  agent_id: string;
  state: "queued" | "running" | "completed" | "failed" | "cancelled";
  /** For `send`: what the message does at this agent. */
  disposition?: Disposition;
  /** For `send`: the turn that it waits for, interrupts or is to join; null when it starts at once. */
  busy_turn_id?: string | null;
}

/** The client's message was taken. */
export interface AckMessage {
  type: "ack";
  /** The client's message. */
  id: string;
  /** For `send`: the message as it was stored. */
  message?: Message;
  /** For `send`: one for each agent that will answer. For `cancel`: those stopped, still `running` when another process has not done it yet. */
  turns?: TurnView[];
  /** For `send`: why no agent answers, and what to do about it; null when one does. */
  no_answer?: NoAnswer | null;
  /** For `read`: the position that holds, which may be further than the one sent. */
  seq?: number;
  /** For `send` and `cancel`: the conversation afterwards. */
  context?: ThreadContext;
}

/** The client's message was refused; nothing of it was done. The connection stays. */
export interface RefusedMessage {
  type: "refused";
  /** The client's message; null when it had no usable id. */
  id: string | null;
  code: string;
  /** Never changes its meaning: docs/errors.md. */
  reason: string;
  message: string;
  hint: string;
  /** Sending the same again, unchanged, can succeed: after so many milliseconds. Null: it cannot. */
  retry_after_ms: number | null;
  /** What else the reason has to say, and the conversation as `context`. */
  details?: Record<string, unknown>;
}

/** Asks whether the client is there. */
export interface ServerPing {
  type: "ping";
  id: string;
}

/** Answers the client's `ping`. */
export interface ServerPong {
  type: "pong";
  /** The ping's; null when it had none. */
  id: string | null;
}

/** Why a connection is ended. */
export type ByeReason =
  | "left"
  | "lifetime"
  | "shutdown"
  | "slow_reader"
  | "unanswered_pings"
  | "too_many_refused"
  | "too_many_connections"
  | "bad_cursor"
  | "bad_tab"
  | CredentialEnd
  | "not_allowed"
  | "thread_not_found"
  | "thread_erased"
  | "thread_archived"
  | "stream_failed";

/** The last message: why the connection ends, and whether to come back. */
export interface ByeMessage {
  type: "bye";
  reason: ByeReason;
  message: string;
  hint: string;
  /** Whether coming back can succeed. */
  reconnect: boolean;
  /** Wait so long before; 0 is at once. Null when not to come back. */
  after_ms: number | null;
  /** Where to go on after; null when nothing was read on this connection. */
  cursor: string | null;
}

export type ServerMessage =
  | WelcomeMessage
  | EventMessage
  | PersonMessage
  | TypingEvent
  | ReadEvent
  | AckMessage
  | RefusedMessage
  | ServerPing
  | ServerPong
  | ByeMessage;
