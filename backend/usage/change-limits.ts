import { api, type Header } from "encore.dev/api";
import type { MaxLen } from "encore.dev/validate";
import { actorOf, appendAudit } from "../audit/append-audit";
import { type Tx, tenant } from "../db/tenant";
import { notFound } from "../lib/errors";
import { marked, runOnce } from "../lib/idempotency";
import { caller } from "../organizations/caller";
import type { LimitView } from "./limit-view";
import { holdLimits } from "./open-limits";
import { requireScope } from "./require-scope";
import { changeLimit, readAmounts } from "./store-limit";

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
