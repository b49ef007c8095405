/** One provider: an OpenAI-compatible endpoint. */
export interface Upstream {
  name: string;
  /** Without a slash at the end; `/chat/completions` comes behind it. */
  baseUrl: string;
  /** The entry of the secret ModelUpstreamKeys; the upstream's name when nothing is said. */
  keySecret?: string;
  /** The environment variable that holds the key where the secret has none. */
  keyEnv?: string;
  /** It asks for a key: where the operator has none, only organizations that bring their own use it. */
  needsKey: boolean;
  /** What it serves: everything it lists, or these. */
  models: "all" | UpstreamModel[];
  /** Whether it makes embeddings; a string is the model it is asked for, whatever Letta's name for it. */
  embeddings: boolean | string;
  /** Fields of requests that it does not take. */
  omit: string[];
  /** Of all its models that have none of their own. */
  price: Price | null;
  /**
   * False: it is never asked ahead with the operator's key. Else what a turn may lose on wrong guesses in the mean, in US dollars; null
   * where nothing is said of it.
   */
  askAhead: false | { usdMax: number } | null;
}

export interface UpstreamModel {
  /** As agents name it. Two upstreams that serve one id stand in for each other. */
  id: string;
  /** As the upstream names it. */
  model: string;
  price: Price | null;
}

/** US dollars for a million tokens. */
export interface Price {
  prompt: number;
  completion: number;
  cachedPrompt: number;
}
