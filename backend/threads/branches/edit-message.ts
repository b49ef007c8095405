import { api, type Header } from "encore.dev/api";
import { invalid } from "../../lib/errors";
import type { Message } from "../../lib/events";
import { newId } from "../../lib/ids";
import { caller } from "../../organizations/caller";
import { requireThread } from "../in-thread";
import { appendLog } from "../log";
import { refuseTooManyTurns, refuseUnfit, requireSender } from "../refuse-message";
import type { ThreadContext } from "../thread-context";
import { newTurns, type QueuedTurn, queuedTurns, startable } from "../turns/queue-turns";
import { reserveTurns } from "../turns/reserve-turns";
import { refuseNoRoom } from "../turns/room";
import { turnsAt } from "../turns/when-busy";
import { keepRotation, type NoAnswer, whoAnswers } from "../who-answers";
import { beginBranch } from "./begin-branch";
import { changeThread } from "./change-thread";
import { requireMessage } from "./require-message";

interface EditMessageRequest {
  id: string;
  messageId: string;
  /** 1 to 100 000 characters. */
  content: string;
  /** Ids of agents and people of the thread that it addresses, as in POST /threads/:id/messages. */
  mentions?: string[];
  /** A retry with the same key and body gets the first answer again and starts nothing. Up to 255 characters. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface EditMessageResponse {
  /** The new message, in the place of the edited one. */
  message: Message;
  /** One for each agent that will answer. */
  turns: QueuedTurn[];
  /** Why no agent answers, and what to do about it; null when one does. */
  no_answer: NoAnswer | null;
  /** The branch that has the message as it was, and what followed it. */
  left_branch: number;
  context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
  /** The limits on spending that hold for this, in the form of draft-ietf-httpapi-ratelimit-headers. Absent where none does. */
  rate_limit_policy?: Header<"RateLimit-Policy">;
  /** What of them is left, and for how many seconds. */
  rate_limit?: Header<"RateLimit">;
}

/**
 * Says a message anew: the conversation goes on from before it in a new branch, with the new content, and the agents answer that. The
 * message as it was and all that followed stay in the branch that was left.
 */
export const editMessage = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/messages/:messageId/edit" },
  async ({ id, messageId, content, mentions, idempotency_key }: EditMessageRequest): Promise<EditMessageResponse> => {
    const who = caller();
    const { orgID } = who;
    const request = ["POST /threads/:id/messages/:messageId/edit", id, messageId, content, mentions ?? null];
    return changeThread(who, { threadId: id, key: idempotency_key, request }, async (tx, before, afterwards) => {
      refuseUnfit(content, mentions);
      const edited = await requireMessage(tx, orgID, before, messageId);
      if (edited.sender_type !== "user") throw notSaidByAPerson();
      const sender = requireSender(before, edited.sender_id, who);
      const { cancelling, entries } = await beginBranch(
        tx,
        { orgId: orgID, threadId: id, state: before, by: who.userID },
        { action: "edit", toSeq: edited.seq - 1 },
      );

      const state = await requireThread(tx, orgID, id);
      const answering = whoAnswers(state, { content, mentions, senderId: edited.sender_id });
      refuseTooManyTurns(state, answering.seats.length);
      const busy = turnsAt(state, answering.seats);
      const { turns, limits } = await reserveTurns(tx, {
        orgId: orgID,
        state,
        seats: answering.seats,
        turns: newTurns(answering.seats, busy, "enqueue"),
        content,
        asker: { userId: who.userID, keyId: who.keyID },
        requests: 1,
      });
      afterwards.limits = limits;
      const message: Message = {
        id: newId("msg"),
        thread_id: id,
        seq: state.context.last_seq + 1,
        sender_type: "user",
        sender_id: edited.sender_id,
        sender_name: sender.name,
        content,
        status: "complete",
        turn_id: null,
        mentions: answering.mentions,
        reason: null,
        branch: state.context.thread.branch,
        origin: null,
        created_at: "",
      };
      const said = await appendLog(tx, orgID, id, [{ type: "message", message }], turns);
      const stored = said[0]?.event;
      if (stored?.type !== "message") throw new Error("a message was to be appended");
      await keepRotation(tx, orgID, state, answering.rotationAt);
      const work = { orgId: orgID, threadId: id, message, seats: answering.seats, turns, state };
      afterwards.starting = await startable(tx, work);
      refuseNoRoom(orgID, afterwards.starting.length);
      afterwards.entries.set(id, [...entries, ...said]);
      afterwards.cancelling.set(id, cancelling);
      return {
        message: stored.message,
        turns: queuedTurns(turns, busy, "enqueue"),
        no_answer: answering.noAnswer,
        left_branch: before.context.thread.branch,
        context: (await requireThread(tx, orgID, id)).context,
      };
    });
  },
);

function notSaidByAPerson() {
  return invalid(
    "not_editable",
    "Only what a person said can be edited.",
    "Have an agent answer anew with POST /threads/:id/messages/:messageId/regenerate.",
  );
}
