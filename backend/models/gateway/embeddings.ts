import type { IncomingMessage, ServerResponse } from "node:http";
import { currentRequest } from "encore.dev";
import { api } from "encore.dev/api";
import { orgOfLettaUser } from "../correlation/asked-by";
import { embedForLetta } from "../requests/embed";
import { isLetta } from "./gateway-key";
import { answerError, answerNotLetta } from "./openai-errors";
import { BadRequest, readRequest } from "./read-request";

/**
 * Embeddings for Letta's archival memory, passed through to the upstream that makes them, of the tenant that the path names: unlike its
 * chat requests, Letta's requests for embeddings do not say whose they are. So each agent and archive is made with an address of its
 * tenant's (letta-client's org-calls.ts).
 */
export const gatewayTenantEmbeddings = api.raw(
  {
    expose: true,
    method: "POST",
    path: "/internal/models/v1/of/:user/embeddings",
    tags: ["internal"],
    bodyLimit: null, // readRequest has its own, whose error Letta understands
  },
  async (req, resp) => {
    const request = currentRequest();
    const user = request?.type === "api-call" ? String(request.pathParams?.user) : "";
    await answer(req, resp, async () => {
      const orgId = await orgOfLettaUser(user);
      if (orgId === null) throw new BadRequest(403, "There is no such tenant.");
      return orgId;
    });
  },
);

/** The same for agents and archives that were made before: with the operator's key, and accounted to nobody. */
export const gatewayEmbeddings = api.raw(
  {
    expose: true,
    method: "POST",
    path: "/internal/models/v1/embeddings",
    tags: ["internal"],
    bodyLimit: null,
  },
  (req, resp) => answer(req, resp, async () => null),
);

async function answer(req: IncomingMessage, resp: ServerResponse, whose: () => Promise<string | null>): Promise<void> {
  if (!isLetta(req)) return answerNotLetta(resp);
  try {
    const text = await embedForLetta(await whose(), await readRequest(req));
    resp.writeHead(200, { "Content-Type": "application/json" });
    resp.end(text);
  } catch (error) {
    answerError(resp, error);
  }
}
