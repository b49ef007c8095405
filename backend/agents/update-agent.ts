import { api, type Header } from "encore.dev/api";
import { actorOf, appendAudit } from "../audit/append-audit";
import { type Tx, tenant } from "../db/tenant";
import { marked, runOnce } from "../lib/idempotency";
import { caller } from "../organizations/caller";
import type { Agent } from "./agent";
import { requireAgent } from "./read-agents";

interface UpdateAgentRequest {
  id: string;
  /** Whether its model is asked ahead of Letta: `auto` where that pays, `on` and `off` whatever it costs. From its next turn on. */
  ask_ahead?: "auto" | "on" | "off";
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface UpdateAgentResponse extends Agent {
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/** Changes what belongs to an agent and to none of its versions. What its versions say is changed by a new version (POST /agents). */
export const updateAgent = api(
  { expose: true, auth: true, method: "PATCH", path: "/agents/:id" },
  async ({ id, ask_ahead, idempotency_key: key }: UpdateAgentRequest): Promise<UpdateAgentResponse> => {
    const who = caller();
    const { orgID, userID } = who;
    const once = { orgId: orgID, caller: userID, key, request: ["PATCH /agents/:id", id, ask_ahead ?? null] };
    const update = async (tx: Tx) => {
      await requireAgent(tx, orgID, id);
      await tx.exec`
        update agents set ask_ahead = coalesce(${ask_ahead ?? null}::text, ask_ahead) where org_id = ${orgID} and id = ${id}`;
      const target = { type: "agent", id };
      await appendAudit(tx, {
        orgId: orgID,
        actor: actorOf(who),
        action: "agent.changed",
        target,
        change: { ask_ahead },
      });
      return requireAgent(tx, orgID, id);
    };
    return marked(await tenant(orgID, (tx) => runOnce(tx, once, () => update(tx))));
  },
);
