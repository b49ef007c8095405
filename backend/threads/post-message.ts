import { api, ErrCode, type Header } from "encore.dev/api";
import { invalid, problem } from "../lib/errors";
import type { LogEntry, Message } from "../lib/events";
import { newId } from "../lib/ids";
import { caller } from "../organizations/caller";
import { replayOrRun } from "./idempotency";
import { inThread, requireLockedThread } from "./in-thread";
import { publish } from "./live/channels";
import { appendLog } from "./log";
import type { AgentSeat, ParticipantView, ThreadContext, ThreadState } from "./thread-context";
import { newTurns, type QueuedTurn, startable } from "./turns/queue-turns";
import { startTurns } from "./turns/run-turn";

/** Characters of one message. Checked here and not by its type, so that the refusal carries the conversation. */
const CONTENT_CHARS_MAX = 100_000;
const MENTIONS_MAX = 50;
/** Turns of one thread that are queued or running: they travel in every answer's context. */
const TURNS_LIVE_MAX = 300;

interface PostMessageRequest {
  id: string;
  /** 1 to 100 000 characters. */
  content: string;
  /** Agent ids, 50 at most: only these answer. Without it every agent of the thread does. */
  mentions?: string[];
  /** Who says it, for a program that speaks for its users: a person of the thread. Only with an owner's or admin's key. */
  sender_id?: string;
  /** A retry with the same key and body gets the first answer again and starts nothing. Up to 255 characters. */
  idempotency_key?: Header<"Idempotency-Key">;
}

export interface PostMessageResponse {
  success: boolean;
  message: Message;
  /** One for each agent that will answer. */
  turns: QueuedTurn[];
  context: ThreadContext;
}

/** Says something in a thread. Stores the message and one queued turn for each answering agent, and answers at once. */
export const postMessage = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/messages" },
  async ({ id, content, mentions, sender_id, idempotency_key }: PostMessageRequest): Promise<PostMessageResponse> => {
    const who = caller();
    const { orgID } = who;
    let entries: LogEntry[] = [];
    let tellStored: (isStored: boolean) => void = () => {};
    const stored = new Promise<boolean>((resolve) => {
      tellStored = resolve;
    });
    const response = await inThread(orgID, id, (tx) =>
      replayOrRun(
        tx,
        {
          orgId: orgID,
          caller: who.userID,
          key: idempotency_key,
          request: ["POST /threads/:id/messages", id, content, mentions ?? null, sender_id ?? null],
        },
        async () => {
          const state = await requireLockedThread(tx, orgID, id);
          refuseArchived(state);
          refuseUnfit(content, mentions);
          const sender = requireSender(state, sender_id ?? who.userID, who);
          const seats = answering(state, mentions);
          refuseTooManyTurns(state, seats.length);
          const turns = newTurns(seats);
          const message = messageFrom(sender, { threadId: id, seq: state.context.last_seq + 1, content });
          const starting = await startable(tx, { orgId: orgID, threadId: id, message, seats, turns, state });
          // Under the lock the message's place is certain, so Letta can begin its bookkeeping while PostgreSQL stores the message.
          startTurns(starting, stored);
          entries = await appendLog(tx, orgID, id, [{ type: "message", message }], turns);
          message.created_at = onlyMessage(entries).created_at;
          const queued = turns.map(({ id, agent_id }) => ({ id, agent_id, state: "queued" as const }));
          const context = {
            ...state.context,
            running_turns: [...state.context.running_turns, ...queued],
            last_seq: message.seq,
            cursor: String(message.seq),
          };
          return { success: true, message, turns: queued, context };
        },
      ),
    ).catch((error: unknown) => {
      tellStored(false);
      throw error;
    });
    tellStored(true);
    publish(orgID, id, entries);
    return response;
  },
);

function refuseArchived(state: ThreadState): void {
  if (state.context.thread.state === "active") return;
  throw problem(
    ErrCode.FailedPrecondition,
    "thread_archived",
    "This thread is archived and takes no more messages.",
    'Bring it back with PATCH /threads/:id {"state": "active"}, or begin another thread.',
  );
}

function refuseTooManyTurns(state: ThreadState, coming: number): void {
  const waiting = state.context.running_turns.length;
  if (coming === 0 || waiting + coming <= TURNS_LIVE_MAX) return;
  throw problem(
    ErrCode.ResourceExhausted,
    "too_many_turns",
    `The agents of this thread have ${waiting} answers to give yet.`,
    "Wait until some have ended, cancel turns, or mention fewer agents.",
    { turns_max: TURNS_LIVE_MAX },
  );
}

function refuseUnfit(content: string, mentions: string[] | undefined): void {
  if (content.length === 0 || content.length > CONTENT_CHARS_MAX) {
    throw invalid(
      "bad_content",
      `content: 1 to ${CONTENT_CHARS_MAX} characters; this has ${content.length}.`,
      content.length === 0 ? "Say something." : "Send it as several messages.",
      { content_chars_max: CONTENT_CHARS_MAX },
    );
  }
  if ((mentions?.length ?? 0) > MENTIONS_MAX) {
    throw invalid("too_many_mentions", `mentions: ${MENTIONS_MAX} at most.`, "Leave mentions out to ask every agent.");
  }
}

function requireSender(state: ThreadState, senderId: string, who: ReturnType<typeof caller>): ParticipantView {
  if (senderId !== who.userID && who.role !== "owner" && who.role !== "admin") {
    throw problem(
      ErrCode.PermissionDenied,
      "cannot_speak_for_others",
      "This API key speaks for its own user only.",
      "Leave sender_id out, or use a key of an owner or admin.",
    );
  }
  const sender = state.context.participants.find((p) => p.user_id === senderId);
  if (sender) return sender;
  throw problem(
    ErrCode.PermissionDenied,
    "not_a_participant",
    "Whoever speaks in a thread takes part in it.",
    'Join first: POST /threads/:id/participants {"people": ["<user id>"]}.',
  );
}

function answering(state: ThreadState, mentions: string[] | undefined): AgentSeat[] {
  if (mentions === undefined) return state.agents;
  const unknown = mentions.filter((id) => !state.agents.some((agent) => agent.agent_id === id));
  if (unknown.length > 0) {
    throw invalid(
      "unknown_mention",
      `mentions: ${unknown.length} of these ids are no agents of this thread.`, // the ids are in details: messages are logged
      "Mention agents by the agent_id of the thread's participants.",
      { unknown },
    );
  }
  return state.agents.filter((agent) => mentions.includes(agent.agent_id));
}

/** The message as it will be stored; the log gives it its time. */
function messageFrom(
  sender: ParticipantView,
  { threadId, seq, content }: { threadId: string; seq: number; content: string },
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
    created_at: "",
  };
}

function onlyMessage(entries: LogEntry[]): Message {
  const event = entries[0]?.event;
  if (event?.type !== "message") throw new Error("a message was to be appended");
  return event.message;
}
