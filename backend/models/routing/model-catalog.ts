/** Which upstream serves which model: what is configured, and what upstreams list, asked for now and then. */
import log from "encore.dev/log";
import { isObject, parseJson } from "../json";
import { MODELS_BYTES_MAX, MODELS_FRESH_MS, MODELS_LISTED_MAX, MODELS_MS_MAX, MODELS_RETRY_MS } from "../limits";
import { readText } from "../responses/read-answer";
import { refusalOf } from "../responses/refusal";
import { send } from "../upstreams/connections";
import type { Price, Upstream } from "../upstreams/upstream";
import { toUpstreamError, UpstreamError } from "../upstreams/upstream-error";
import { operatorKey } from "../upstreams/upstream-keys";

export interface Served {
  upstream: Upstream;
  /** The model, by the upstream's own id. */
  model: string;
  price: Price | null;
}

interface Listing {
  ids: string[];
  /** When it is asked for again, by performance.now(). */
  staleAt: number;
  asking: Promise<void> | null;
}

/** Models that do not converse: OpenAI lists them with the others. */
const NOT_CHAT =
  /embed|whisper|transcribe|tts|dall-e|image|audio|realtime|moderation|sora|davinci|babbage|-instruct-\d|computer-use|deep-research|^imagen|^veo|aqa$/i;
/**
 * Letta asks for models of these names by another API (its openai_client.py, use_responses_api): they are listed behind their upstream's
 * name.
 */
const RESPONSES_API = /^(o1|o3|o4|gpt-5)/;
const ANTHROPIC_VERSION = "2023-06-01";

const listings = new Map<string, Listing>(); // one an upstream, and those are configured

/** The upstreams that serve a model, in order. `<upstream>/<id>` names one of them. */
export async function servedBy(model: string, upstreams: Upstream[]): Promise<Served[]> {
  const named = upstreams.find(({ name }) => model.startsWith(`${name}/`));
  const theirs = named ? model.slice(named.name.length + 1) : "";
  const [first, ...served] = await Promise.all([
    named ? serves(named, theirs) : [],
    ...upstreams.map((upstream) => serves(upstream, model)), // OpenRouter's ids have a slash too
  ]);
  const known = [...first, ...served.flat()];
  if (known.length > 0) return known;
  if (named?.models === "all") return [{ upstream: named, model: theirs, price: named.price }];
  // Servers answer to more names than they list. A single one is asked, and those whose list is not known; others are not guessed among.
  const open = upstreams.filter(({ models }) => models === "all");
  const unknown = open.filter(({ name }) => listings.get(name)?.ids.length === 0);
  return (unknown.length > 0 ? unknown : open.length === 1 ? open : []).map((upstream) => {
    return { upstream, model, price: upstream.price };
  });
}

async function serves(upstream: Upstream, model: string): Promise<Served[]> {
  const { models, price } = upstream;
  if (models === "all") return (await listed(upstream)).includes(model) ? [{ upstream, model, price }] : [];
  const found = models.find(({ id }) => id === model);
  return found ? [{ upstream, model: found.model, price: found.price ?? price }] : [];
}

export interface ListedModel {
  /** As agents and Letta name it. */
  id: string;
  /** Names of the upstreams that serve it, best first. */
  upstreams: string[];
}

/** Every model that can be asked for, by the upstreams' order. */
export async function listModels(upstreams: Upstream[]): Promise<ListedModel[]> {
  const models = new Map<string, ListedModel>();
  const lists = await Promise.all(upstreams.map((upstream) => idsOf(upstream)));
  upstreams.forEach((upstream, at) => {
    for (const plain of lists[at] ?? []) {
      const id = RESPONSES_API.test(plain) ? `${upstream.name}/${plain}` : plain;
      const model = models.get(id) ?? { id, upstreams: [] };
      model.upstreams.push(upstream.name);
      models.set(id, model);
    }
  });
  return [...models.values()].slice(0, MODELS_LISTED_MAX);
}

async function idsOf(upstream: Upstream): Promise<string[]> {
  if (upstream.models !== "all") return upstream.models.map(({ id }) => id);
  return (await listed(upstream)).filter((id) => !NOT_CHAT.test(id));
}

/** What an upstream lists. Waits for the first list only; later ones are fetched beside the answers. */
async function listed(upstream: Upstream): Promise<string[]> {
  let listing = listings.get(upstream.name);
  if (listing === undefined) {
    listing = { ids: [], staleAt: 0, asking: null };
    listings.set(upstream.name, listing);
  }
  if (listing.asking === null && performance.now() > listing.staleAt) {
    const asked = listing;
    asked.asking = refresh(upstream, asked).finally(() => {
      asked.asking = null;
    });
  }
  if (listing.staleAt === 0) await listing.asking;
  return listing.ids;
}

async function refresh(upstream: Upstream, listing: Listing): Promise<void> {
  try {
    listing.ids = await fetchIds(upstream);
    listing.staleAt = performance.now() + MODELS_FRESH_MS;
  } catch (thrown) {
    const { reason, status, code } = toUpstreamError(thrown, false);
    const more = { upstream: upstream.name, reason, status: status ?? undefined, code: code ?? undefined };
    log.warn("an upstream does not list its models", more);
    listing.staleAt = performance.now() + MODELS_RETRY_MS; // a list that is there stays meanwhile
  }
}

async function fetchIds(upstream: Upstream): Promise<string[]> {
  const key = operatorKey(upstream);
  const isAnthropic = new URL(upstream.baseUrl).host === "api.anthropic.com"; // its list is not of OpenAI's API
  const { response, release } = await send(upstream, {
    method: "GET",
    path: isAnthropic ? "/models?limit=1000" : "/models",
    key: isAnthropic ? undefined : key,
    ...(isAnthropic && key ? { headers: { "x-api-key": key, "anthropic-version": ANTHROPIC_VERSION } } : {}),
    signal: AbortSignal.timeout(MODELS_MS_MAX),
  });
  try {
    const text = await readText(response.body, MODELS_BYTES_MAX);
    const answer = parseJson(text);
    if (response.statusCode !== 200) throw refusalOf(response.statusCode, answer ?? text);
    const list = isObject(answer) ? answer.data : answer; // Together answers the bare list
    if (!Array.isArray(list)) throw new UpstreamError("bad_response", { code: "no_list" });
    const ids = list.flatMap((entry) => (isObject(entry) && typeof entry.id === "string" ? [entry.id] : []));
    return ids.slice(0, MODELS_LISTED_MAX).map((id) => id.replace(/^models\//, "")); // Gemini's prefix
  } finally {
    release();
  }
}
