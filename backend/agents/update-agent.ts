import { api } from "encore.dev/api";
import { tenant } from "../db/tenant";
import { memberCaller } from "../organizations/caller";
import type { Agent } from "./agent";
import { requireAgent } from "./read-agents";

interface UpdateAgentRequest {
  id: string;
  /** Whether its model is asked ahead of Letta: `auto` where that pays, `on` and `off` whatever it costs. From its next turn on. */
  ask_ahead?: "auto" | "on" | "off";
}

/** Changes what belongs to an agent and to none of its versions. What its versions say is changed by a new version (POST /agents). */
export const updateAgent = api(
  { expose: true, auth: true, method: "PATCH", path: "/agents/:id" },
  async ({ id, ask_ahead }: UpdateAgentRequest): Promise<Agent> => {
    const { orgID } = memberCaller("A guest cannot change agents.");
    return tenant(orgID, async (tx) => {
      await requireAgent(tx, orgID, id);
      await tx.exec`
        update agents set ask_ahead = coalesce(${ask_ahead ?? null}::text, ask_ahead) where org_id = ${orgID} and id = ${id}`;
      return requireAgent(tx, orgID, id);
    });
  },
);
