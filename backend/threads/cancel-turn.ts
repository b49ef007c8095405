import { api } from "encore.dev/api";
import { notFound } from "../lib/errors";
import { caller } from "../organizations/caller";
import { inThread, requireLockedThread, requireThread } from "./in-thread";
import { publish } from "./live/channels";
import { requireMay } from "./roles";
import type { ThreadContext } from "./thread-context";
import { type CancelTarget, requestCancel } from "./turns/cancel";
import { stopTurn } from "./turns/run-turn";
import type { TurnState } from "./turns/turn-state";

interface CancelTurnRequest {
  id: string;
  turnId: string;
}

interface TurnView {
  id: string;
  agent_id: string;
  /** `running` when another process runs the turn and has not stopped it yet: it does within two seconds. */
  state: "queued" | "running" | "completed" | "failed" | "cancelled";
}

interface CancelTurnResponse {
  turn: TurnView;
  context: ThreadContext;
}

/**
 * Stops an agent's turn. What it said so far stays as a message with status `cancelled`. A turn that has ended stays as it is: its state
 * in the answer tells.
 */
export const cancelTurn = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/turns/:turnId/cancel" },
  async ({ id, turnId }: CancelTurnRequest): Promise<CancelTurnResponse> => {
    const who = caller();
    const { orgID } = who;
    const entries = await inThread(orgID, id, async (tx) => {
      requireMay(await requireLockedThread(tx, orgID, id), who, "cancel");
      const turn = await tx.queryRow<CancelTarget>`
        select id, agent_id, state from turns where org_id = ${orgID} and thread_id = ${id} and id = ${turnId}`;
      if (!turn) throw notFound("turn");
      return requestCancel(tx, orgID, id, turn);
    });
    publish(orgID, id, entries);
    await stopTurn(turnId, "cancelled");
    return inThread(orgID, id, async (tx) => {
      const turn = await tx.queryRow<{ id: string; agent_id: string; state: TurnState }>`
        select id, agent_id, state from turns where org_id = ${orgID} and thread_id = ${id} and id = ${turnId}`;
      if (!turn) throw notFound("turn");
      return { turn, context: (await requireThread(tx, orgID, id)).context };
    });
  },
);
