/** What answers the agents: the user's own provider, or the dev model. Decided once from the environment. */
export interface Models {
  readonly usesDevModel: boolean;
  /** True also when only embeddings come from it: Anthropic has none. */
  readonly needsDevModel: boolean;
  /** Letta asks Graphyn, which asks the providers. Otherwise Letta asks them itself. */
  readonly usesGateway: boolean;
  /** What Letta is given: the gateway's address and key, or the user's providers. */
  readonly lettaEnv: Readonly<Record<string, string>>;
  /** What Graphyn is given: with the gateway, the user's providers. */
  readonly graphynEnv: Readonly<Record<string, string>>;
  /** The providers' own lists of models, by which the handle that agents get is chosen. */
  readonly providers: readonly Provider[];
  /** The handle that the user named, as Letta lists it here. */
  readonly named: string | undefined;
  /** Handles to use if nobody names a model, best first; the providers' lists decide. */
  readonly preferredHandles: readonly string[];
  /** OpenAI-compatible endpoint for Graphyn's own embeddings of messages; EMBEDDINGS_API_BASE and EMBEDDINGS_API_KEY name another. */
  readonly embeddingsBase: string;
  readonly embeddingsKey: string;
  /** Addresses that Letta will call, for the choice of certificates. */
  readonly addresses: readonly string[];
  /** For a person: "dev model (no language model)", "OpenAI at …". */
  readonly description: string;
}

export interface Provider {
  readonly base: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What Letta puts before its models' ids. */
  readonly prefix: string;
}

/** Graphyn's model gateway, as Letta is told of it. */
export interface Gateway {
  readonly base: string;
  readonly key: string;
}

/** Where Graphyn's model gateway is on its server. */
export const GATEWAY_PATH = "/internal/models/v1";

const OPENAI_BASE = "https://api.openai.com/v1";
const ANTHROPIC_BASE = "https://api.anthropic.com";
const ANTHROPIC_VERSION = "2023-06-01";
const DEV_MODEL_KEY = "dev-model";
/** Letta's own name for what an endpoint other than OpenAI's lists (its schemas/providers/openai.py). */
const PROXY = "openai-proxy/";
const CLAUDES = ["claude-sonnet-4-5", "claude-haiku-4-5", ""];
const GPTS = ["gpt-4.1-mini", "gpt-4o-mini", ""];

/**
 * `OPENAI_API_KEY` and `OPENAI_API_BASE` name an OpenAI-compatible provider (a base without a key suits a local server),
 * `ANTHROPIC_API_KEY` Anthropic, `GRAPHYN_MODEL` one of Letta's handles; for the gateway, `MODEL_UPSTREAMS` a list of providers. With none of
 * them the dev model answers.
 */
export function chooseModels(env: NodeJS.ProcessEnv, devModelBase: string, gateway?: Gateway): Models {
  const { OPENAI_API_KEY, OPENAI_API_BASE, ANTHROPIC_API_KEY, EMBEDDINGS_API_BASE, EMBEDDINGS_API_KEY } = env;
  const hasList = gateway !== undefined && Boolean(env.MODEL_UPSTREAMS);
  const hasOpenAi = !hasList && Boolean(OPENAI_API_KEY || OPENAI_API_BASE);
  const hasAnthropic = !hasList && Boolean(ANTHROPIC_API_KEY);
  const usesDevModel = !hasList && !hasOpenAi && !hasAnthropic;
  const needsDevModel = !hasList && !hasOpenAi;
  const base = hasOpenAi ? OPENAI_API_BASE || OPENAI_BASE : devModelBase;
  const key = hasOpenAi ? OPENAI_API_KEY || "none" : DEV_MODEL_KEY;
  const claude = gateway ? PROXY : "anthropic/";
  const gpt = gateway || base !== OPENAI_BASE ? PROXY : "openai/";
  const named = gateway ? env.GRAPHYN_MODEL?.replace(/^(openai|anthropic)\//, PROXY) : env.GRAPHYN_MODEL;
  const handles = [
    ...(named ? [named] : []),
    ...(hasAnthropic ? CLAUDES.map((id) => claude + id) : []),
    ...(hasOpenAi ? (OPENAI_API_BASE ? [PROXY] : GPTS.map((id) => gpt + id)) : []),
    ...(usesDevModel ? [`${PROXY}dev`] : []),
  ];
  const anthropicHeaders = { "x-api-key": ANTHROPIC_API_KEY ?? "", "anthropic-version": ANTHROPIC_VERSION };
  const providers: Provider[] = [
    ...(hasAnthropic ? [{ base: `${ANTHROPIC_BASE}/v1`, headers: anthropicHeaders, prefix: claude }] : []),
    ...(hasOpenAi || usesDevModel ? [{ base, headers: { authorization: `Bearer ${key}` }, prefix: gpt }] : []),
  ];
  const given = {
    ...(hasOpenAi && OPENAI_API_KEY ? { OPENAI_API_KEY } : {}),
    ...(hasOpenAi && OPENAI_API_BASE ? { OPENAI_API_BASE } : {}),
    ...(hasAnthropic && ANTHROPIC_API_KEY ? { ANTHROPIC_API_KEY } : {}),
    ...(usesDevModel ? { DEV_MODEL_URL: devModelBase.replace(/\/v1$/, "") } : {}),
  };
  const ownEmbeddings = hasList ? gateway : { base, key };
  return {
    usesDevModel,
    needsDevModel,
    usesGateway: gateway !== undefined,
    lettaEnv: gateway
      ? { OPENAI_API_KEY: gateway.key, OPENAI_API_BASE: gateway.base }
      : { OPENAI_API_KEY: key, OPENAI_API_BASE: base, ...(ANTHROPIC_API_KEY ? { ANTHROPIC_API_KEY } : {}) },
    graphynEnv: gateway ? { GRAPHYN_TURN_SOURCE: "gateway", ...given } : { GRAPHYN_TURN_SOURCE: "relay" },
    providers,
    named: named || undefined,
    preferredHandles: handles,
    embeddingsBase: EMBEDDINGS_API_BASE || ownEmbeddings.base,
    embeddingsKey: EMBEDDINGS_API_BASE ? EMBEDDINGS_API_KEY || "none" : ownEmbeddings.key,
    addresses: gateway ? [gateway.base] : [base, ...(hasAnthropic ? [ANTHROPIC_BASE] : [])],
    description: usesDevModel
      ? "the dev model, which is no language model"
      : hasList
        ? "the upstreams of MODEL_UPSTREAMS"
        : `${[
            ...(hasAnthropic ? ["Anthropic"] : []),
            ...(hasOpenAi ? [OPENAI_API_BASE ? new URL(base).host : "OpenAI"] : []),
          ].join(
            " and ",
          )}${hasOpenAi || EMBEDDINGS_API_BASE ? "" : "; embeddings by the dev model, which knows words and no meaning"}`,
  };
}

/** The first preferred handle that is listed; one ending in "/" stands for any of that provider. */
export function chooseHandle(preferred: readonly string[], listed: readonly string[]): string | undefined {
  for (const wanted of preferred) {
    const found = listed.find((handle) => (wanted.endsWith("/") ? handle.startsWith(wanted) : handle === wanted));
    if (found) return found;
  }
  return listed.find((handle) => !handle.startsWith("letta/")); // letta/* are answered by a service of theirs
}
