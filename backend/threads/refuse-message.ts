import { ErrCode } from "encore.dev/api";
import { invalid, problem } from "../lib/errors";
import type { Caller } from "../organizations/authenticate";
import { requireMay, requireStanding } from "./roles";
import type { ParticipantView, ThreadState } from "./thread-context";

/** Characters of one message. Checked here and not by its type, so that the refusal carries the conversation. */
const CONTENT_CHARS_MAX = 100_000;
const MENTIONS_MAX = 50;
/** Turns of one thread that are queued or running: they travel in every answer's context. */
export const TURNS_LIVE_MAX = 300;

export function refuseArchived(state: ThreadState): void {
  if (state.context.thread.state === "active") return;
  throw problem(
    ErrCode.FailedPrecondition,
    "thread_archived",
    "This thread is archived and takes no more messages.",
    'Bring it back with PATCH /threads/:id {"state": "active"}, or begin another thread.',
  );
}

export function refuseTooManyTurns(state: ThreadState, coming: number): void {
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

export function refuseUnfit(content: string, mentions: string[] | undefined): void {
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

/**
 * The participant who says it: the caller, or whom the caller may speak for. A person's role holds also where a program speaks for them;
 * only an owner's or admin's own words need no role.
 */
export function requireSender(state: ThreadState, senderId: string, who: Caller): ParticipantView {
  if (senderId !== who.userID && who.role !== "owner" && who.role !== "admin") {
    throw problem(
      ErrCode.PermissionDenied,
      "cannot_speak_for_others",
      "This API key speaks for its own user only.",
      "Leave sender_id out, or use a key of an owner or admin.",
    );
  }
  const sender = state.context.participants.find((p) => p.user_id === senderId);
  if (sender) {
    if (senderId === who.userID) requireMay(state, who, "speak");
    else requireStanding(state, sender.role, "speak");
    return sender;
  }
  throw problem(
    ErrCode.PermissionDenied,
    "not_a_participant",
    "Whoever speaks in a thread takes part in it.",
    'Have them added: POST /threads/:id/participants {"people": ["<user id>"]}.',
  );
}
