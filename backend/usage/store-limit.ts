import { ErrCode } from "encore.dev/api";
import type { Tx } from "../db/tenant";
import { invalid, problem } from "../lib/errors";
import type { Amounts, Scope } from "./limit";
import { type LimitView, limitViews } from "./limit-view";
import { insertLimit, openLimits } from "./open-limits";

/** Limits of one organization. */
const LIMITS_MAX = 1_000;
/** Of any amount: what JavaScript counts exactly. */
const AMOUNT_MAX = Number.MAX_SAFE_INTEGER;

interface Change {
  orgId: string;
  scope: Scope;
  scopeId: string;
  amounts: Amounts;
  by: string;
}

/** Sets a limit; its counters begin with what is spent and set aside already. Whoever calls it tells the audit log, afterwards. */
export async function changeLimit(tx: Tx, { orgId, scope, scopeId, amounts, by }: Change): Promise<LimitView> {
  await openLimits(tx, orgId);
  const count = await tx.queryRow<{ n: number }>`select count(*)::int as n from limits where org_id = ${orgId}`;
  if ((count?.n ?? 0) >= LIMITS_MAX && !(await isThere(tx, orgId, scope, scopeId))) throw tooManyLimits();
  await insertLimit(tx, orgId, scope, scopeId);
  await tx.exec`
    update limits set tokens_per_minute = ${amounts.tokens_per_minute}::bigint, tokens_per_month = ${amounts.tokens_per_month}::bigint,
      requests_per_minute = ${amounts.requests_per_minute}::bigint, cost_micros_per_month = ${amounts.cost_micros_per_month}::bigint,
      set_by = ${by}, set_at = now()
    where org_id = ${orgId} and scope = ${scope} and scope_id = ${scopeId}`;
  const [view] = await limitViews(tx, orgId, { scope, scopeId });
  if (!view) throw new Error("the limit was not stored");
  return view;
}

async function isThere(tx: Tx, orgId: string, scope: Scope, scopeId: string): Promise<boolean> {
  const row = await tx.queryRow`
    select 1 as here from limits where org_id = ${orgId} and scope = ${scope} and scope_id = ${scopeId}`;
  return row !== null;
}

/** Amounts as somebody asked for them: throws `bad_limit` where they are none. */
export function readAmounts(given: Partial<Amounts>): Amounts {
  const {
    tokens_per_minute = null,
    tokens_per_month = null,
    requests_per_minute = null,
    cost_micros_per_month = null,
  } = given;
  const amounts = { tokens_per_minute, tokens_per_month, requests_per_minute, cost_micros_per_month };
  const values = Object.values(amounts).filter((amount) => amount !== null);
  if (values.length === 0 || values.some((amount) => !Number.isInteger(amount) || amount < 0 || amount > AMOUNT_MAX)) {
    throw invalid(
      "bad_limit",
      `${Object.keys(amounts).join(", ")}: one of them at least, each a whole number from 0 to ${AMOUNT_MAX}.`,
      "Leave out what is not to be limited; take a limit away with DELETE /limits/:scope/:scopeId.",
    );
  }
  return amounts;
}

function tooManyLimits() {
  return problem(
    ErrCode.ResourceExhausted,
    "too_many_limits",
    `An organization has ${LIMITS_MAX} limits at most.`,
    "Take away limits on keys, people, agents or threads that are used no more.",
    { limits_max: LIMITS_MAX },
  );
}
