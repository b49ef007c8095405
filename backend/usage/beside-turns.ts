import log from "encore.dev/log";
import { tenant } from "../db/tenant";
import type { LimitName } from "../lib/events";
import { heldTo } from "./ceilings";
import { type LimitRow, statesOf } from "./limit";

/**
 * The organization's limit of the month that has no room for a call to a model that is for no turn, such as Letta's summaries; null where
 * there is room. Nothing is set aside for it: what it takes counts when it has ended, so of several at once each may pass by what the others
 * take. A limit of a minute is no reason to leave a conversation without its summary. A database that is away is none either.
 */
export async function brokenBeside(
  orgId: string,
  { tokens, costMicros }: { tokens: number; costMicros: number },
): Promise<LimitName | null> {
  try {
    const row = await tenant(
      orgId,
      (tx) => tx.queryRow<LimitRow & { at: Date }>`
        select *, clock_timestamp() as at from limits
        where org_id = ${orgId} and scope = 'organization' and scope_id = ${orgId}`,
    );
    if (!row) return null;
    const needed: Partial<Record<LimitName["metric"], number>> = {
      tokens_per_month: tokens,
      cost_micros_per_month: costMicros,
    };
    for (const { scope, scope_id, metric, left } of statesOf(row, heldTo("organization", row), row.at))
      if (left < (needed[metric] ?? Number.NEGATIVE_INFINITY)) return { scope, scope_id, metric };
  } catch (error) {
    log.warn("whether an organization may spend more could not be looked up", {
      org_id: orgId,
      error: String(error),
    });
  }
  return null;
}
