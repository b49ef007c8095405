import { api } from "encore.dev/api";
import { notFound } from "../lib/errors";
import { caller } from "../organizations/caller";
import { cancelTurns, type TurnView } from "./cancel-turns";
import type { ThreadContext } from "./thread-context";

interface CancelTurnRequest {
  id: string;
  turnId: string;
}

interface CancelTurnResponse {
  turn: TurnView;
  context: ThreadContext;
}

/**
 * Stops an agent's turn, queued or running, in whichever process it runs. What it said so far stays as a message with status `cancelled`.
 * A turn that has ended stays as it is: its state in the answer tells.
 */
export const cancelTurn = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/turns/:turnId/cancel" },
  async ({ id, turnId }: CancelTurnRequest): Promise<CancelTurnResponse> => {
    const { turns, context } = await cancelTurns(caller(), { threadId: id, turnId });
    const [turn] = turns;
    if (!turn) throw notFound("turn");
    return { turn, context };
  },
);
