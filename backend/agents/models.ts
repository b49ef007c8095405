import { invalid } from "../lib/errors";
import type { LettaEmbedding, LettaOrg } from "../lib/letta-client";

const LISTED_MAX = 50;

/** Letta lists its own hosted models always, whether or not its host can reach them. They are taken only when they are named. */
const HOSTED = /^letta\//;

const EMBEDDING_DEFAULT = "openai/text-embedding-3-small";

/** The model asked for, checked against what Letta offers; else GRAPHYN_MODEL, else the first that Letta offers. */
export async function chooseModel(org: LettaOrg, asked: string | undefined): Promise<string> {
  const offered = (await org.models.list()).map((model) => model.handle);
  const wanted = asked ?? (process.env.GRAPHYN_MODEL || offered.find((handle) => !HOSTED.test(handle)));
  if (wanted !== undefined && offered.includes(wanted)) return wanted;
  throw invalid(
    "unknown_model",
    wanted === undefined ? "Letta offers no language model." : "Letta does not offer this model.",
    offered.length === 0
      ? "Give Letta a provider's key, for example OPENAI_API_KEY."
      : "Choose one of available_models.",
    { available_models: offered.slice(0, LISTED_MAX), context: null },
  );
}

/** GRAPHYN_EMBEDDING_MODEL or the common small one, else the first that Letta offers; null when there is none. */
export async function chooseEmbedding(org: LettaOrg): Promise<LettaEmbedding | null> {
  const offered = await org.models.embeddings();
  const wanted = process.env.GRAPHYN_EMBEDDING_MODEL || EMBEDDING_DEFAULT;
  return offered.find(({ handle }) => handle === wanted) ?? offered.find(({ handle }) => !HOSTED.test(handle)) ?? null;
}
