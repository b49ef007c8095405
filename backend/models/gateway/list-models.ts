import { api } from "encore.dev/api";
import { listModels } from "../routing/model-catalog";
import { upstreams } from "../upstreams/configured";
import { isLetta } from "./gateway-key";
import { answerError, answerJson, answerNotLetta } from "./openai-errors";

/** The models Letta offers: those of all upstreams, in OpenAI's form. Letta reads them when it starts. */
export const gatewayModels = api.raw(
  { expose: true, method: "GET", path: "/internal/models/v1/models", tags: ["internal"] },
  async (req, resp) => {
    if (!isLetta(req)) return answerNotLetta(resp);
    try {
      const models = await listModels(upstreams());
      const data = models.map(({ id }) => ({ id, object: "model", created: 0, owned_by: "graphyn" }));
      answerJson(resp, 200, { object: "list", data });
    } catch (error) {
      answerError(resp, error);
    }
  },
);
