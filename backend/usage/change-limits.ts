import { api, ErrCode, type Header } from "encore.dev/api";
import type { MaxLen } from "encore.dev/validate";
import { actorOf, appendAudit } from "../audit/append-audit";
import { type Tx, tenant } from "../db/tenant";
import { invalid, notFound, problem } from "../lib/errors";
import { marked, runOnce } from "../lib/idempotency";
import { caller } from "../organizations/caller";
import type { Amounts, Scope } from "./limit";
import { type LimitView, limitViews } from "./limit-view";
import { holdLimits, insertLimit, openLimits } from "./open-limits";
import { requireScope } from "./require-scope";

/** Limits of one organization. */
const LIMITS_MAX = 1_000;
/** Of any amount: what JavaScript counts exactly. */
const AMOUNT_MAX = Number.MAX_SAFE_INTEGER;

interface SetLimitRequest {
  /** `organization`, `key`, `person`, `agent` or `thread`. */
  scope: string;
  /** The id of what it is on: of the organization itself, one of its keys, people, agents or threads. */
  scopeId: string & MaxLen<64>;
  /** Tokens of prompts and answers together. An amount that is left out does not limit. */
  tokens_per_minute?: number;
  tokens_per_month?: number;
  /** Requests that ask a model: messages that agents answer, edits, regenerations, searches. */
  requests_per_minute?: number;
  /** Millionths of a US dollar. Models without a known price do not count. */
  cost_micros_per_month?: number;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface SetLimitResponse extends LimitView {
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Limits what an organization, or one of its keys, people, agents or threads may spend: from the next request on, and with what is spent already. */
export const setLimit = api(
  { expose: true, auth: true, method: "PUT", path: "/limits/:scope/:scopeId" },
  async ({ scope, scopeId, idempotency_key: key, ...given }: SetLimitRequest): Promise<SetLimitResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const amounts = readAmounts(given);
    const once = {
      orgId: orgID,
      caller: userID,
      key,
      request: ["PUT /limits/:scope/:scopeId", scope, scopeId, amounts],
    };
    return marked(
      await tenant(orgID, (tx) =>
        runOnce(tx, once, async () => {
          const on = await requireScope(tx, orgID, scope, scopeId);
          const view = await changeLimit(tx, { orgId: orgID, scope: on, scopeId, amounts, by: userID });
          const target = { type: scope, id: scopeId };
          await appendAudit(tx, { orgId: orgID, actor: actorOf(who), action: "limit.set", target, change: amounts });
          return view;
        }),
      ),
    );
  },
);

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

interface DeleteLimitRequest {
  scope: string;
  scopeId: string & MaxLen<64>;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface DeleteLimitResponse {
  scope: string;
  scope_id: string;
  deleted: boolean;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Takes a limit away. What the operator holds every organization to stays. */
export const deleteLimit = api(
  { expose: true, auth: true, method: "DELETE", path: "/limits/:scope/:scopeId" },
  async ({ scope, scopeId, idempotency_key: key }: DeleteLimitRequest): Promise<DeleteLimitResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const once = { orgId: orgID, caller: userID, key, request: ["DELETE /limits/:scope/:scopeId", scope, scopeId] };
    const remove = async (tx: Tx) => {
      await holdLimits(tx, orgID);
      // The organization's own row stays while there are others: they are counted under its lock.
      const gone = await tx.queryRow`
        update limits set tokens_per_minute = null, tokens_per_month = null, requests_per_minute = null, cost_micros_per_month = null
        where org_id = ${orgID} and scope = ${scope} and scope_id = ${scopeId} and set_by is not null
        returning scope`;
      if (!gone) throw notFound("limit");
      await tx.exec`
        update limits set set_by = null where org_id = ${orgID} and scope = ${scope} and scope_id = ${scopeId}`;
      await tx.exec`delete from limits where org_id = ${orgID} and scope <> 'organization' and set_by is null`;
      await tx.exec`
        delete from limits l where org_id = ${orgID} and set_by is null
          and not exists (select from limits o where o.org_id = l.org_id and o.set_by is not null)`;
      const target = { type: scope, id: scopeId };
      await appendAudit(tx, { orgId: orgID, actor: actorOf(who), action: "limit.deleted", target });
      return { scope, scope_id: scopeId, deleted: true };
    };
    return marked(await tenant(orgID, (tx) => runOnce(tx, once, () => remove(tx))));
  },
);

function readAmounts(given: Partial<Amounts>): Amounts {
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
