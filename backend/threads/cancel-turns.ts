import type { Tx } from "../db/tenant";
import { notFound } from "../lib/errors";
import { type Answered, finishOnce, runOnce } from "../lib/idempotency";
import type { Caller } from "../organizations/authenticate";
import { inThread, requireLockedThread, requireThread } from "./in-thread";
import { requireMay } from "./roles";
import type { ThreadContext } from "./thread-context";
import { type Cancelling, finishCancelling, liveTurns, requestCancel } from "./turns/cancel";
import type { TurnState } from "./turns/turn-state";

export interface TurnView {
  id: string;
  agent_id: string;
  /** `running` only when another process runs the turn and has not stopped it in five seconds; it has been asked to. */
  state: TurnState;
}

export interface CancelOrder {
  threadId: string;
  /** One turn; every queued and running one of the thread without it. */
  turnId?: string | undefined;
  idempotencyKey?: string | undefined;
}

export interface Cancelled {
  turns: TurnView[];
  context: ThreadContext;
}

/** Stops turns, however the wish came in, and answers when they have ended. A retry stops nothing that began since. */
export async function cancelTurns(
  who: Caller,
  { threadId, turnId, idempotencyKey }: CancelOrder,
): Promise<Answered<Cancelled>> {
  const { orgID, userID } = who;
  const order = { by: userID, reason: "asked" } as const;
  let cancelling: Cancelling = { turns: [], entries: [] };
  const once = {
    orgId: orgID,
    caller: userID,
    key: idempotencyKey,
    request: ["POST /threads/:id/turns/:turnId/cancel", threadId, turnId ?? null],
    threadId,
  };
  const { answer: begun, replayed } = await inThread(who, threadId, (tx) =>
    runOnce<{ turns: string[]; answer?: Cancelled }>(tx, once, async () => {
      requireMay(await requireLockedThread(tx, orgID, threadId), who, "cancel");
      const live = turnId === undefined ? await liveTurns(tx, orgID, threadId) : [turnId];
      if (turnId !== undefined && (await viewTurns(tx, orgID, threadId, live)).length === 0) throw notFound("turn");
      cancelling = await requestCancel(tx, orgID, threadId, live, order);
      return { turns: live };
    }),
  );
  if (begun.answer) return { answer: begun.answer, replayed };
  const all = [...new Set([...begun.turns, ...cancelling.turns])];
  await finishCancelling(orgID, threadId, { turns: all, entries: cancelling.entries });
  return inThread(who, threadId, async (tx) => {
    const turns = await viewTurns(tx, orgID, threadId, begun.turns);
    const now = async () => ({ turns, context: (await requireThread(tx, orgID, threadId)).context });
    // A turn that has not ended yet is looked at again by the next retry.
    const hasEnded = turns.every(({ state }) => state !== "queued" && state !== "running");
    return { answer: hasEnded ? await finishOnce(tx, once, now) : await now(), replayed };
  });
}

async function viewTurns(tx: Tx, orgId: string, threadId: string, ids: string[]): Promise<TurnView[]> {
  return tx.queryAll<TurnView>`
    select id, agent_id, state from turns
    where org_id = ${orgId} and thread_id = ${threadId} and id = any(${ids}::text[]) order by id`;
}
