/** What answers the agents: the user's own provider, or the dev model. Decided once from the environment. */
export interface Models {
  readonly usesDevModel: boolean;
  /** True also when only embeddings come from it: Anthropic has none. */
  readonly needsDevModel: boolean;
  /** What Letta is given of the user's providers. */
  readonly lettaEnv: Readonly<Record<string, string>>;
  /** Handles to use if nobody names a model, best first; Letta's list decides. */
  readonly preferredHandles: readonly string[];
  /** OpenAI-compatible endpoint for Graphyn's own embeddings of messages; EMBEDDINGS_API_BASE and EMBEDDINGS_API_KEY name another. */
  readonly embeddingsBase: string;
  readonly embeddingsKey: string;
  /** Addresses that Letta will call, for the choice of certificates. */
  readonly addresses: readonly string[];
  /** For a person: "dev model (no language model)", "OpenAI at …". */
  readonly description: string;
}

const OPENAI_BASE = "https://api.openai.com/v1";
const ANTHROPIC_BASE = "https://api.anthropic.com";
const DEV_MODEL_KEY = "dev-model";

/**
 * `OPENAI_API_KEY` and `OPENAI_API_BASE` name an OpenAI-compatible provider (a base without a key suits a local server),
 * `ANTHROPIC_API_KEY` Anthropic, `GRAPHYN_MODEL` one of Letta's handles. With none of them the dev model answers.
 */
export function chooseModels(env: NodeJS.ProcessEnv, devModelBase: string): Models {
  const { OPENAI_API_KEY, OPENAI_API_BASE, ANTHROPIC_API_KEY, EMBEDDINGS_API_BASE, EMBEDDINGS_API_KEY, GRAPHYN_MODEL } =
    env;
  const hasOpenAi = Boolean(OPENAI_API_KEY || OPENAI_API_BASE);
  const usesDevModel = !hasOpenAi && !ANTHROPIC_API_KEY;
  const base = hasOpenAi ? OPENAI_API_BASE || OPENAI_BASE : devModelBase;
  const key = hasOpenAi ? OPENAI_API_KEY || "none" : DEV_MODEL_KEY;
  const handles = [
    ...(GRAPHYN_MODEL ? [GRAPHYN_MODEL] : []),
    ...(ANTHROPIC_API_KEY ? ["anthropic/claude-sonnet-4-5", "anthropic/claude-haiku-4-5", "anthropic/"] : []),
    ...(hasOpenAi
      ? OPENAI_API_BASE
        ? ["openai-proxy/"]
        : ["openai/gpt-4.1-mini", "openai/gpt-4o-mini", "openai/"]
      : []),
    ...(usesDevModel ? ["openai-proxy/dev"] : []),
  ];
  const names = [
    ...(ANTHROPIC_API_KEY ? ["Anthropic"] : []),
    ...(hasOpenAi ? [OPENAI_API_BASE ? new URL(base).host : "OpenAI"] : []),
  ];
  return {
    usesDevModel,
    needsDevModel: !hasOpenAi,
    lettaEnv: { OPENAI_API_KEY: key, OPENAI_API_BASE: base, ...(ANTHROPIC_API_KEY ? { ANTHROPIC_API_KEY } : {}) },
    preferredHandles: handles,
    embeddingsBase: EMBEDDINGS_API_BASE || base,
    embeddingsKey: EMBEDDINGS_API_BASE ? EMBEDDINGS_API_KEY || "none" : key,
    addresses: [base, ...(ANTHROPIC_API_KEY ? [ANTHROPIC_BASE] : [])],
    description: usesDevModel
      ? "the dev model, which is no language model"
      : `${names.join(" and ")}${hasOpenAi || EMBEDDINGS_API_BASE ? "" : "; embeddings by the dev model, which knows words and no meaning"}`,
  };
}

/** The first preferred handle that Letta lists; one ending in "/" stands for any of that provider. */
export function chooseHandle(preferred: readonly string[], listed: readonly string[]): string | undefined {
  for (const wanted of preferred) {
    const found = listed.find((handle) => (wanted.endsWith("/") ? handle.startsWith(wanted) : handle === wanted));
    if (found) return found;
  }
  return listed.find((handle) => !handle.startsWith("letta/")); // letta/* are answered by a service of theirs
}
