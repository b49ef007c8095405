/** Examples of the AsyncAPI document, by the name of the message's type in backend/realtime/protocol.ts. A test holds each to its schema. */
const USER = "user_01kas3h5v4e8q9z2m6n7p8r9st";
const THREAD = "thread_01kas3h5v4e8q9z2m6n7p8r9sv";
const TURN = "turn_01kas3h5v4e8q9z2m6n7p8r9sw";
const AGENT = "agent_01kas3h5v4e8q9z2m6n7p8r9sx";
const MESSAGE = "msg_01kas3h5v4e8q9z2m6n7p8r9sy";

export const PROTOCOL_EXAMPLES: Record<string, object[]> = {
  SendMessage: [{ type: "send", id: "m-1", content: "What is left to do?", mentions: [AGENT] }],
  CancelMessage: [{ type: "cancel", id: "m-2", turn_id: TURN }],
  ReactMessage: [
    { type: "react", id: "m-3", message_id: MESSAGE, emoji: "👍" },
    { type: "react", id: "m-4", message_id: MESSAGE, emoji: "👍", remove: true },
  ],
  ReadMessage: [{ type: "read", seq: 12 }],
  TypingMessage: [{ type: "typing", typing: true }],
  PingMessage: [{ type: "ping", id: "c-1" }],
  PongMessage: [{ type: "pong", id: "p1" }],
  LeaveMessage: [{ type: "leave" }],
  EventMessage: [
    {
      type: "event",
      cursor: "6",
      event: { type: "ai_chunk", thread_id: THREAD, turn_id: TURN, agent_id: AGENT, offset: 0, content: "This" },
    },
  ],
  PersonMessage: [
    {
      type: "person",
      person: { user_id: USER, name: "Ada", tabs: [{ tab: "w1", since: "2026-11-22T20:56:31.685Z" }] },
    },
    { type: "person", person: { user_id: USER, name: "Ada", tabs: [] } },
  ],
  TypingEvent: [{ type: "typing", user_id: USER, name: "Ada", typing: true, expires_in_ms: 6000 }],
  ReadEvent: [{ type: "read", user_id: USER, seq: 12 }],
  AckMessage: [{ type: "ack", id: "m-3" }],
  RefusedMessage: [
    {
      type: "refused",
      id: "m-1",
      code: "permission_denied",
      reason: "role_not_allowed",
      message: "speak: a thread's listener may not do this.",
      hint: "Ask a host of the thread (details.hosts) to do it or to change the role, or use a key of an owner or admin of the organization.",
      retry_after_ms: null,
    },
  ],
  ServerPing: [{ type: "ping", id: "p1" }],
  ServerPong: [{ type: "pong", id: "c-1" }],
  ByeMessage: [
    {
      type: "bye",
      reason: "shutdown",
      message: "This server stops.",
      hint: "Connect again with the cursor, after a moment.",
      reconnect: true,
      after_ms: 500,
      cursor: "6",
    },
  ],
};
