/** The providers the gateway asks: named OpenAI-compatible endpoints, from MODEL_UPSTREAMS or from the keys in the environment. */
import { isObject, type JsonObject, parseJson } from "../json";
import type { Price, Upstream, UpstreamModel } from "./upstream";

const OPENAI = "https://api.openai.com/v1";
const ANTHROPIC = "https://api.anthropic.com/v1";
const UPSTREAMS_MAX = 32;
const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;
const FIELDS = ["name", "base_url", "key_secret", "key_env", "models", "embeddings", "omit", "price", "ask_ahead"];

/** The upstreams in order of preference. Throws with a sentence when MODEL_UPSTREAMS is not what docs/self-hosting.md says. */
export function readUpstreams(env: NodeJS.ProcessEnv = process.env): Upstream[] {
  if (!env.MODEL_UPSTREAMS) return derived(env);
  const list = parseJson(env.MODEL_UPSTREAMS);
  if (!Array.isArray(list) || list.length === 0 || list.length > UPSTREAMS_MAX) {
    throw new Error(`MODEL_UPSTREAMS must be a JSON list of 1 to ${UPSTREAMS_MAX} upstreams`);
  }
  const upstreams = list.map(readUpstream);
  const twice = upstreams.find(({ name }, at) => upstreams.findIndex((other) => other.name === name) !== at);
  if (twice) throw new Error(`MODEL_UPSTREAMS names "${twice.name}" twice`);
  return upstreams;
}

/** Without MODEL_UPSTREAMS: the providers whose keys are there, else the dev model; and who makes embeddings beside them. */
function derived(env: NodeJS.ProcessEnv): Upstream[] {
  const { OPENAI_API_BASE, OPENAI_API_KEY, ANTHROPIC_API_KEY, DEV_MODEL_URL, EMBEDDINGS_API_BASE } = env;
  const all = { needsKey: false, models: "all" as const, embeddings: true, omit: [], price: null, askAhead: null };
  const upstreams: Upstream[] = [];
  if (OPENAI_API_BASE || OPENAI_API_KEY) {
    const baseUrl = urlOf(OPENAI_API_BASE || OPENAI); // a base without a key suits a server of one's own
    upstreams.push({ ...all, name: "openai", baseUrl, keyEnv: "OPENAI_API_KEY", needsKey: baseUrl === OPENAI });
  }
  if (ANTHROPIC_API_KEY) {
    const own = { name: "anthropic", baseUrl: ANTHROPIC, keyEnv: "ANTHROPIC_API_KEY", needsKey: true };
    upstreams.push({ ...all, ...own, embeddings: false });
  }
  if (EMBEDDINGS_API_BASE) {
    const baseUrl = urlOf(EMBEDDINGS_API_BASE);
    if (!upstreams.some((upstream) => upstream.baseUrl === baseUrl)) {
      // First, so that it is the one that is asked for embeddings; it has no models.
      upstreams.unshift({ ...all, name: "embeddings", baseUrl, keyEnv: "EMBEDDINGS_API_KEY", models: [] });
    }
  }
  if (DEV_MODEL_URL && !upstreams.some(({ models }) => models === "all")) {
    upstreams.push({ ...all, name: "dev", baseUrl: urlOf(`${DEV_MODEL_URL.replace(/\/+$/, "")}/v1`) });
  }
  return upstreams;
}

function readUpstream(value: unknown, at: number): Upstream {
  const wrong = (what: string) => new Error(`MODEL_UPSTREAMS[${at}]: ${what}`);
  if (!isObject(value)) throw wrong("must be an object");
  const { name, base_url, key_secret, key_env, models = "all", embeddings, omit = [], price, ask_ahead } = value;
  const unknown = Object.keys(value).find((field) => !FIELDS.includes(field));
  if (unknown !== undefined) throw wrong(`"${unknown}" is no field; there are ${FIELDS.join(", ")}`);
  if (typeof name !== "string" || !NAME.test(name))
    throw wrong("name must be 1 to 32 lower-case letters, digits and hyphens");
  if (typeof base_url !== "string") throw wrong("base_url must be an http(s) URL");
  for (const [field, given] of Object.entries({ key_secret, key_env })) {
    if (given !== undefined && (typeof given !== "string" || given === "")) throw wrong(`${field} must be a name`);
  }
  if (models !== "all" && !Array.isArray(models)) throw wrong('models must be "all" or a list');
  if (embeddings !== undefined && typeof embeddings !== "boolean" && typeof embeddings !== "string") {
    throw wrong("embeddings must be true, false, or the id of the embedding model to use");
  }
  if (!Array.isArray(omit) || omit.some((field) => typeof field !== "string"))
    throw wrong("omit must be a list of fields");
  const baseUrl = urlOf(base_url, wrong("base_url must be an http(s) URL"));
  return {
    name,
    baseUrl,
    ...(key_secret === undefined ? {} : { keySecret: key_secret as string }),
    ...(key_env === undefined ? {} : { keyEnv: key_env as string }),
    needsKey: key_secret !== undefined || key_env !== undefined,
    models: models === "all" ? "all" : models.map((model) => readModel(model, wrong)),
    embeddings: embeddings ?? baseUrl !== ANTHROPIC,
    omit: omit as string[],
    price: price === undefined ? null : readPrice(price, wrong),
    askAhead: readAskAhead(ask_ahead, wrong),
  };
}

function readAskAhead(value: unknown, wrong: (what: string) => Error): Upstream["askAhead"] {
  if (value === undefined || value === true) return null;
  if (value === false) return false;
  const { usd_max }: JsonObject = isObject(value) ? value : {};
  if (typeof usd_max === "number" && usd_max >= 0) return { usdMax: usd_max };
  throw wrong(
    'ask_ahead is true, false, or {"usd_max"}, the US dollars that a turn may lose on wrong guesses in the mean',
  );
}

function readModel(value: unknown, wrong: (what: string) => Error): UpstreamModel {
  const { id, model = id, price }: JsonObject = isObject(value) ? value : { id: value };
  if (typeof id !== "string" || id === "" || typeof model !== "string" || model === "") {
    throw wrong('a model is its id, or {"id", "model": the id at this upstream, "price"}');
  }
  return { id, model, price: price === undefined ? null : readPrice(price, wrong) };
}

function readPrice(value: unknown, wrong: (what: string) => Error): Price {
  const { prompt, completion, cached_prompt = prompt }: JsonObject = isObject(value) ? value : {};
  const prices = [prompt, completion, cached_prompt];
  if (!prices.every((price): price is number => typeof price === "number" && price >= 0)) {
    throw wrong('price is {"prompt", "completion", "cached_prompt"} in US dollars for a million tokens');
  }
  return { prompt: prices[0] as number, completion: prices[1] as number, cachedPrompt: prices[2] as number };
}

function urlOf(text: string, wrong = new Error(`${text.slice(0, 100)} is not an http(s) URL`)): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) throw wrong;
  return url.href.replace(/\/+$/, "");
}
