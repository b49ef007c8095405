import { api } from "encore.dev/api";
import { caller } from "../../organizations/caller";
import { upstreams } from "../upstreams/configured";
import { ownKeys } from "../upstreams/credentials";
import { operatorKey } from "../upstreams/upstream-keys";
import { listModels } from "./model-catalog";

interface Model {
  /** What POST /agents takes as `model`. */
  model: string;
  /** Names of the upstreams that answer for it, first the one that is asked first. */
  upstreams: string[];
  /** The organization's own key is used. */
  own_key: boolean;
}

interface ListModelsResponse {
  models: Model[];
}

/** How Letta names the models of an OpenAI-compatible endpoint that is not OpenAI's own (its schemas/providers/openai.py). */
const LETTA_PREFIX = "openai-proxy/";

/** Lists the language models the organization's agents can use. */
export const listOwnModels = api(
  { expose: true, auth: true, method: "GET", path: "/models" },
  async (): Promise<ListModelsResponse> => {
    const { orgID } = caller();
    const own = await ownKeys(orgID);
    const usable = upstreams().filter(
      (upstream) => own.has(upstream.name) || !upstream.needsKey || operatorKey(upstream) !== undefined,
    );
    const preferred = usable.toSorted((a, b) => Number(own.has(b.name)) - Number(own.has(a.name)));
    const models = await listModels(preferred);
    return {
      models: models.map(({ id, upstreams: names }) => ({
        model: LETTA_PREFIX + id,
        upstreams: names,
        own_key: own.has(names[0] ?? ""),
      })),
    };
  },
);
