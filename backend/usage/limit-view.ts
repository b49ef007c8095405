import type { Tx } from "../db/tenant";
import { heldTo } from "./ceilings";
import { type LimitRow, type Metric, type Scope, statesOf } from "./limit";

/** One amount that holds, and how it stands. */
export interface LimitUse {
  metric: Metric;
  limit: number;
  /** What is neither spent nor set aside for turns that are under way. */
  remaining: number;
  /** Milliseconds until all of it is there again, if nothing more is taken. */
  resets_in_ms: number;
}

export interface LimitView {
  scope: Scope;
  scope_id: string;
  /** Null: not limited. */
  tokens_per_minute: number | null;
  tokens_per_month: number | null;
  requests_per_minute: number | null;
  /** Millionths of a US dollar. */
  cost_micros_per_month: number | null;
  /** What holds now: for the organization with what the operator allows at most. */
  now: LimitUse[];
  /** A user's id; null where only the operator's limits hold. */
  set_by: string | null;
  set_at: string;
}

interface Row extends LimitRow {
  set_by: string | null;
  set_at: Date;
  at: Date;
}

interface Which {
  scope?: Scope;
  scopeId?: string;
  /** The page after this place. */
  after?: [scope: string, scopeId: string];
  count?: number;
}

/** Limits of an organization with how they stand, by scope and id. */
export async function limitViews(
  tx: Tx,
  orgId: string,
  { scope, scopeId, after, count = 1 }: Which,
): Promise<LimitView[]> {
  const [afterScope = "", afterId = ""] = after ?? [];
  const rows = await tx.queryAll<Row>`
    select *, clock_timestamp() as at from limits
    where org_id = ${orgId} and (${scope ?? null}::text is null or (scope = ${scope ?? null} and scope_id = ${scopeId ?? null}))
      and (scope, scope_id) > (${afterScope}, ${afterId})
    order by scope, scope_id limit ${count}`;
  return rows.map(toView);
}

function toView(row: Row): LimitView {
  const { scope, scope_id, tokens_per_minute, tokens_per_month, requests_per_minute, cost_micros_per_month } = row;
  const own = { tokens_per_minute, tokens_per_month, requests_per_minute, cost_micros_per_month };
  const now = statesOf(row, heldTo(scope, own), row.at).map(({ metric, limit, left, resetMs }) => {
    return { metric, limit, remaining: Math.max(0, left), resets_in_ms: resetMs };
  });
  return { scope, scope_id, ...own, now, set_by: row.set_by, set_at: row.set_at.toISOString() };
}
