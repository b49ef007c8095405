import { entryCursor } from "../lib/cursor";
import type { LogEntry, Message } from "../lib/events";
import { newId } from "../lib/ids";
import type { Caller } from "../organizations/authenticate";
import { replayOrRun } from "./idempotency";
import { inThread, requireLockedThread } from "./in-thread";
import { publish } from "./live/channels";
import { appendLog } from "./log";
import { refuseArchived, refuseTooManyTurns, refuseUnfit, requireSender } from "./refuse-message";
import type { ParticipantView, ThreadContext } from "./thread-context";
import { newTurns, type QueuedTurn, startable } from "./turns/queue-turns";
import { startTurns } from "./turns/run-turn";
import { keepRotation, type NoAnswer, whoAnswers } from "./who-answers";

/** What is said, however it came: by HTTP or by another way in. */
export interface Saying {
  threadId: string;
  content: string;
  /** Ids of agents and people of the thread that it addresses, besides those its text names by @Name. */
  mentions?: string[] | undefined;
  /** In whose name; the caller's own without it. */
  senderId?: string | undefined;
  /** The caller's name for this request: said again with the same, it is answered again and nothing else. */
  idempotencyKey?: string | undefined;
}

export interface Said {
  success: boolean;
  message: Message;
  /** One for each agent that will answer. */
  turns: QueuedTurn[];
  /** Why no agent answers, and what to do about it; null when one does. */
  no_answer: NoAnswer | null;
  context: ThreadContext;
}

/** Stores a message with one queued turn for each answering agent, begins what can begin, and tells the thread's readers. */
export async function sendMessage(who: Caller, saying: Saying): Promise<Said> {
  const { orgID } = who;
  const { threadId, content, mentions, senderId, idempotencyKey } = saying;
  let entries: LogEntry[] = [];
  let tellStored: (isStored: boolean) => void = () => {};
  const stored = new Promise<boolean>((resolve) => {
    tellStored = resolve;
  });
  const said = await inThread(orgID, threadId, (tx) =>
    replayOrRun(
      tx,
      {
        orgId: orgID,
        caller: who.userID,
        key: idempotencyKey,
        request: ["POST /threads/:id/messages", threadId, content, mentions ?? null, senderId ?? null],
      },
      async () => {
        const state = await requireLockedThread(tx, orgID, threadId);
        refuseArchived(state);
        refuseUnfit(content, mentions);
        const sender = requireSender(state, senderId ?? who.userID, who);
        const { seats, ...answering } = whoAnswers(state, { content, mentions, senderId: sender.user_id ?? "" });
        refuseTooManyTurns(state, seats.length);
        const turns = newTurns(seats);
        const message = messageFrom(sender, {
          threadId,
          seq: state.context.last_seq + 1,
          branch: state.context.thread.branch,
          content,
        });
        message.mentions = answering.mentions;
        const starting = await startable(tx, { orgId: orgID, threadId, message, seats, turns, state });
        // Under the lock the message's place is certain, so Letta can begin its bookkeeping while PostgreSQL stores the message.
        startTurns(starting, stored);
        entries = await appendLog(tx, orgID, threadId, [{ type: "message", message }], turns);
        await keepRotation(tx, orgID, state, answering.rotationAt);
        message.created_at = onlyMessage(entries).created_at;
        const queued = turns.map(({ id, agent_id }) => ({ id, agent_id, state: "queued" as const }));
        const context = {
          ...state.context,
          running_turns: [...state.context.running_turns, ...queued],
          last_seq: message.seq,
          cursor: entryCursor(threadId, message.seq),
        };
        return { success: true, message, turns: queued, no_answer: answering.noAnswer, context };
      },
    ),
  ).catch((error: unknown) => {
    tellStored(false);
    throw error;
  });
  tellStored(true);
  publish(orgID, threadId, entries);
  return said;
}

/** The message as it will be stored; the log gives it its time. */
function messageFrom(
  sender: ParticipantView,
  { threadId, seq, branch, content }: { threadId: string; seq: number; branch: number; content: string },
): Message {
  return {
    id: newId("msg"),
    thread_id: threadId,
    seq,
    sender_type: "user",
    sender_id: sender.user_id ?? "",
    sender_name: sender.name,
    content,
    status: "complete",
    turn_id: null,
    mentions: [],
    reason: null,
    branch,
    origin: null,
    created_at: "",
  };
}

function onlyMessage(entries: LogEntry[]): Message {
  const event = entries[0]?.event;
  if (event?.type !== "message") throw new Error("a message was to be appended");
  return event.message;
}
