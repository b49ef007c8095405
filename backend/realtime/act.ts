import { tenant } from "../db/tenant";
import type { LogEntry } from "../lib/events";
import { runOnce } from "../lib/idempotency";
import { requireMessagePolicy } from "../organizations/enforce-policy";
import { cancelTurns } from "../threads/cancel-turns";
import { inThread, requireThread } from "../threads/in-thread";
import { publish } from "../threads/live/channels";
import { requireMay } from "../threads/roles";
import { sendMessage } from "../threads/send-message";
import type { Member } from "./member";
import { setTyping } from "./presence";
import type { AckMessage, CancelMessage, ClientMessage, ReactMessage, ReadMessage, SendMessage } from "./protocol";
import { react } from "./reactions";
import { moveReadPosition } from "./read-positions";
import { peopleChanged } from "./rooms";

/** A message that does something, and is answered. */
export type Doing = Exclude<ClientMessage, { type: "ping" | "pong" | "leave" }>;

/** Does what a message asks, and resolves with its answer; null where none was asked for. Rejects with the refusal. */
export async function act(member: Member, message: Doing): Promise<AckMessage | null> {
  requireMessagePolicy(member.who, member.threadId, message.type);
  switch (message.type) {
    case "send":
      return send(member, message);
    case "cancel":
      return cancel(member, message);
    case "react":
      return reactTo(member, message);
    case "read":
      return read(member, message);
    case "typing":
      await type(member, message.typing);
      return message.id === undefined ? null : { type: "ack", id: message.id };
  }
}

async function send(member: Member, message: SendMessage): Promise<AckMessage> {
  const { answer } = await sendMessage(member.who, {
    threadId: member.threadId,
    content: message.content,
    mentions: message.mentions,
    senderId: message.sender_id,
    whenBusy: message.when_busy,
    idempotencyKey: message.id,
  });
  if (member.isTyping) await type(member, false);
  const { success: _, ...said } = answer;
  return { type: "ack", id: message.id, ...said };
}

async function cancel({ who, threadId }: Member, { id, turn_id }: CancelMessage): Promise<AckMessage> {
  const { answer } = await cancelTurns(who, { threadId, turnId: turn_id, idempotencyKey: id });
  return { type: "ack", id, ...answer };
}

async function reactTo({ who, threadId }: Member, message: ReactMessage): Promise<AckMessage> {
  const { id, message_id, emoji, remove = false } = message;
  let entries: LogEntry[] = [];
  await inThread(who, threadId, (tx) =>
    runOnce(
      tx,
      {
        orgId: who.orgID,
        caller: who.userID,
        key: id,
        request: ["react", threadId, message_id, emoji, remove],
        threadId,
      },
      async () => {
        entries = await react(tx, who, { threadId, messageId: message_id, emoji, remove });
        return { reacted: true };
      },
    ),
  );
  publish(who.orgID, threadId, entries);
  return { type: "ack", id };
}

async function read({ who, threadId }: Member, { id, seq }: ReadMessage): Promise<AckMessage | null> {
  const holds = await inThread(who, threadId, (tx) =>
    moveReadPosition(tx, who.orgID, { threadId, userId: who.userID, seq }),
  );
  peopleChanged(who.orgID, threadId);
  return id === undefined ? null : { type: "ack", id, seq: holds };
}

async function type(member: Member, isTyping: boolean): Promise<void> {
  const { who, threadId, seat } = member;
  if (isTyping) {
    await inThread(who, threadId, async (tx) => {
      requireMay(await requireThread(tx, who.orgID, threadId), who, "speak");
      await setTyping(tx, who.orgID, seat, true);
    });
  } else await tenant(who.orgID, (tx) => setTyping(tx, who.orgID, seat, false));
  member.isTyping = isTyping;
  peopleChanged(who.orgID, threadId);
}
