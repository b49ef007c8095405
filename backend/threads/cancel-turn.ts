import { api, type Header } from "encore.dev/api";
import { notFound } from "../lib/errors";
import { marked } from "../lib/idempotency";
import { caller } from "../organizations/caller";
import { cancelTurns, type TurnView } from "./cancel-turns";
import type { ThreadContext } from "./thread-context";

interface CancelTurnRequest {
  id: string;
  turnId: string;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface CancelTurnResponse {
  turn: TurnView;
  context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/**
 * Stops an agent's turn, queued or running, in whichever process it runs. What it said so far stays as a message with status `cancelled`.
 * A turn that has ended stays as it is: its state in the answer tells.
 */
export const cancelTurn = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/turns/:turnId/cancel" },
  async ({ id, turnId, idempotency_key }: CancelTurnRequest): Promise<CancelTurnResponse> => {
    const order = { threadId: id, turnId, idempotencyKey: idempotency_key };
    const { answer, replayed } = await cancelTurns(caller(), order);
    const [turn] = answer.turns;
    if (!turn) throw notFound("turn");
    return marked({ answer: { turn, context: answer.context }, replayed });
  },
);
