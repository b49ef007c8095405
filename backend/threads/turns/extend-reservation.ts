import log from "encore.dev/log";
import { tenant } from "../../db/tenant";
import type { LimitName } from "../../lib/events";
import { isQuotaExceeded } from "../../usage/quota";
import { type More, reserveMore } from "../../usage/reserve";
import { holdThread } from "../hold-thread";
import type { TurnToRun } from "./run-turn";

/**
 * Sets aside more for a turn than was when it was asked, on its row too, so that whoever ends it gives back all. Answers the limit that
 * does not allow it; null when it is done. A database that is away stops no answer: nobody else can set anything aside meanwhile either.
 */
export async function extendReservation(
  { orgId, threadId, turnId, seat, asker, reserved }: TurnToRun,
  { tokens, costMicros }: Pick<More, "tokens" | "costMicros">,
): Promise<LimitName | null> {
  if (reserved === null) return null;
  try {
    await tenant(orgId, async (tx) => {
      // Also waits for the message's own transaction, which may not have ended when its model is asked ahead.
      await holdThread(tx, orgId, threadId);
      const { agent_id: agentId } = seat;
      await reserveMore(tx, { orgId, threadId, agentId, asker, at: reserved.at, tokens, costMicros });
      const held = await tx.queryRow`
        update turns set reserved_tokens = reserved_tokens + ${tokens}, reserved_cost_micros = reserved_cost_micros + ${costMicros}
        where org_id = ${orgId} and id = ${turnId} and ended_at is null returning id`;
      if (!held) throw new Error("the turn has ended");
    });
    return null;
  } catch (error) {
    if (isQuotaExceeded(error)) {
      const { scope, scope_id, metric } = error.details as unknown as LimitName;
      return { scope, scope_id, metric };
    }
    log.warn("what a turn takes could not be set aside", { turn_id: turnId, error: String(error) });
    return null;
  }
}
