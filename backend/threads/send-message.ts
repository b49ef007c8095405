import type { Tx } from "../db/tenant";
import { entryCursor } from "../lib/cursor";
import type { LogEntry, Message } from "../lib/events";
import { type Answered, runOnce } from "../lib/idempotency";
import { newId } from "../lib/ids";
import type { Caller } from "../organizations/authenticate";
import type { LimitState } from "../usage/limit";
import { inThread, requireLockedThread, requireThread } from "./in-thread";
import { publish } from "./live/channels";
import { appendLog, type NewTurn } from "./log";
import { refuseArchived, refuseTooManyTurns, refuseUnfit, requireSender } from "./refuse-message";
import { requireMay } from "./roles";
import type { ParticipantView, RunningTurn, ThreadContext, ThreadState } from "./thread-context";
import { beginCancelling, type Cancelling, NOTHING_CANCELLED, requestCancel } from "./turns/cancel";
import { newTurns, type QueuedTurn, queuedTurns, startable } from "./turns/queue-turns";
import { reserveTurns } from "./turns/reserve-turns";
import { refuseNoRoom } from "./turns/room";
import { startTurns } from "./turns/run-turn";
import type { TurnState } from "./turns/turn-state";
import { refuseBusy, turnsAt, type WhenBusy } from "./turns/when-busy";
import { keepRotation, type NoAnswer, whoAnswers } from "./who-answers";

/** What is said, however it came: by HTTP or by another way in. */
export interface Saying {
  threadId: string;
  content: string;
  /** Ids of agents and people of the thread that it addresses, besides those its text names by @Name. */
  mentions?: string[] | undefined;
  /** In whose name; the caller's own without it. */
  senderId?: string | undefined;
  /** What it does at an agent that is still answering; what the thread says without it. */
  whenBusy?: WhenBusy | undefined;
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

/**
 * Stores a message with one queued turn for each answering agent, begins what can begin, and tells the thread's readers. A retry
 * with the same key re-attaches: it names the message, and its turns as they are now. What the turns may take is set aside first, in the
 * limits that hold for them (`limits`, with what is left); where it does not fit, nothing is said: `quota_exceeded`.
 */
export async function sendMessage(who: Caller, saying: Saying): Promise<Answered<Said> & { limits: LimitState[] }> {
  const { orgID } = who;
  const { threadId, content, mentions, senderId, whenBusy, idempotencyKey } = saying;
  let entries: LogEntry[] = [];
  let limits: LimitState[] = [];
  let interrupted: Cancelling = NOTHING_CANCELLED;
  let tellStored: (isStored: boolean) => void = () => {};
  const stored = new Promise<boolean>((resolve) => {
    tellStored = resolve;
  });
  const said = await inThread(who, threadId, async (tx) => {
    const sent = await runOnce<Said>(
      tx,
      {
        orgId: orgID,
        caller: who.userID,
        key: idempotencyKey,
        request: [
          "POST /threads/:id/messages",
          threadId,
          content,
          mentions ?? null,
          senderId ?? null,
          whenBusy ?? null,
        ],
        threadId,
      },
      async () => {
        const state = await requireLockedThread(tx, orgID, threadId);
        refuseArchived(state);
        refuseUnfit(content, mentions);
        const sender = requireSender(state, senderId ?? who.userID, who);
        const { seats, ...answering } = whoAnswers(state, { content, mentions, senderId: sender.user_id ?? "" });
        refuseTooManyTurns(state, seats.length);
        const policy = whenBusy ?? state.whenBusy;
        const busy = turnsAt(state, seats);
        if (policy === "reject") refuseBusy(busy);
        if (policy === "interrupt" && busy.size > 0) requireMay(state, who, "cancel");
        if (policy === "interrupt") interrupted = await interrupt(tx, orgID, threadId, busy, sender);
        const asker = { userId: sender.user_id, keyId: who.keyID };
        const wanted = newTurns(seats, busy, policy);
        const reserved = await reserveTurns(tx, {
          orgId: orgID,
          state,
          seats,
          turns: wanted,
          content,
          asker,
          requests: 1,
        });
        const { turns } = reserved;
        limits = reserved.limits;
        const seq = state.context.last_seq + interrupted.entries.length + 1;
        const message = messageFrom(sender, { threadId, seq, branch: state.context.thread.branch, content });
        message.mentions = answering.mentions;
        const starting = await startable(tx, { orgId: orgID, threadId, message, seats, turns, state });
        refuseNoRoom(orgID, starting.length);
        // Under the lock the message's place is certain, so Letta can begin its bookkeeping while PostgreSQL stores the message.
        startTurns(starting, stored);
        entries = await appendLog(tx, orgID, threadId, [{ type: "message", message }], turns);
        await keepRotation(tx, orgID, state, answering.rotationAt);
        message.created_at = onlyMessage(entries).created_at;
        const context = {
          ...state.context,
          running_turns: [...stillLive(state, interrupted), ...turns.map(waiting)],
          last_seq: message.seq,
          cursor: entryCursor(threadId, message.seq),
        };
        const queued = queuedTurns(turns, busy, policy);
        return { success: true, message, turns: queued, no_answer: answering.noAnswer, context };
      },
    );
    return sent.replayed ? { ...sent, answer: await asItStands(tx, orgID, sent.answer) } : sent;
  }).catch((error: unknown) => {
    tellStored(false);
    throw error;
  });
  tellStored(true);
  void beginCancelling(orgID, threadId, interrupted);
  publish(orgID, threadId, entries);
  return { ...said, limits };
}

/**
 * What was said before, with its turns and the conversation as they are now. The cursor stays the message's: whoever follows from there
 * misses nothing of the answers, however far they are.
 */
async function asItStands(tx: Tx, orgId: string, said: Said): Promise<Said> {
  const { thread_id: threadId } = said.message;
  const { context } = await requireThread(tx, orgId, threadId);
  const ids = said.turns.map(({ id }) => id);
  const rows = await tx.queryAll<{ id: string; state: TurnState }>`
    select id, state from turns where org_id = ${orgId} and id = any(${ids}::text[])`;
  const states = new Map(rows.map(({ id, state }) => [id, state]));
  const turns = said.turns.map((turn) => ({ ...turn, state: states.get(turn.id) ?? turn.state }));
  return { ...said, turns, context: { ...context, cursor: said.context.cursor } };
}

/** The turns that the agents are at end, with what they have said; the message's own follow. */
async function interrupt(
  tx: Tx,
  orgId: string,
  threadId: string,
  busy: Map<string, RunningTurn>,
  sender: ParticipantView,
): Promise<Cancelling> {
  const turns = [...busy.values()].map(({ id }) => id);
  return requestCancel(tx, orgId, threadId, turns, { by: sender.user_id ?? "", reason: "interrupted" });
}

function stillLive({ context }: ThreadState, { turns, entries }: Cancelling): RunningTurn[] {
  const ended = new Set(entries.flatMap(({ event }) => (event.type === "turn_cancelled" ? [event.turn_id] : [])));
  return context.running_turns
    .filter(({ id }) => !ended.has(id))
    .map((turn) => (turns.includes(turn.id) ? { ...turn, cancelling: true } : turn));
}

function waiting({ id, agent_id, steers_turn_id = null }: NewTurn): RunningTurn {
  return { id, agent_id, state: "queued", cancelling: false, steers_turn_id };
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
