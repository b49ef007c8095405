/** Texts as vectors: from the upstream that makes them, with the organization's own key where it brought one, and accounted to it. */
import { secret } from "encore.dev/config";
import log from "encore.dev/log";
import { EMBEDDING_DIMENSIONS, embeddingsRequest, readEmbeddings } from "../../lib/embeddings";
import { type JsonObject, parseJson } from "../json";
import { EMBEDDINGS_ATTEMPTS_MAX, EMBEDDINGS_BYTES_MAX, EMBEDDINGS_MS_MAX } from "../limits";
import { recordCall } from "../metering/record-call";
import { estimateTokens, readUsage, type Usage } from "../metering/usage";
import { readText } from "../responses/read-answer";
import { refusalOf } from "../responses/refusal";
import { upstreams } from "../upstreams/configured";
import { send } from "../upstreams/connections";
import { ownKeys } from "../upstreams/credentials";
import type { Price, Upstream } from "../upstreams/upstream";
import { toUpstreamError, UpstreamError } from "../upstreams/upstream-error";
import { operatorKey } from "../upstreams/upstream-keys";

/** Where Letta's model endpoint is in Graphyn. */
const GATEWAY_PATH = "/internal/models/v1";

const embeddingsApiKey = secret("EmbeddingsApiKey");

interface Asked {
  upstream: Upstream;
  key: string | undefined;
}

/**
 * The vectors of texts of an organization, in order, from the endpoint that EMBEDDINGS_API_BASE names, for the search by meaning. Throws
 * when there is none, when it does not answer in time, and when it answers rubbish. With `payer` `operator` it is the operator's to pay, and
 * accounted to nobody.
 */
export async function embedTexts(
  orgId: string,
  texts: string[],
  msMax: number,
  payer: "organization" | "operator" = "organization",
): Promise<number[][]> {
  const body = embeddingsRequest(texts);
  const isOurs = payer === "operator";
  const asked = await searchUpstream(isOurs ? null : orgId);
  const text = await askAccounted(isOurs ? null : orgId, asked, body, AbortSignal.timeout(msMax));
  return readEmbeddings(parseJson(text), texts.length, EMBEDDING_DIMENSIONS);
}

/** Answers a request for embeddings of Letta's, as the upstream does; null: of nobody known. Throws UpstreamError. */
export async function embedForLetta(orgId: string | null, body: JsonObject): Promise<string> {
  const own = orgId === null ? new Map<string, string>() : await ownKeys(orgId);
  const asked = upstreams()
    .filter(({ embeddings }) => embeddings !== false)
    .map((upstream) => ({ upstream, key: own.get(upstream.name) ?? operatorKey(upstream) }))
    .find(({ upstream, key }) => !(upstream.needsKey && key === undefined));
  if (asked === undefined) throw new UpstreamError("model_unknown", { code: "no_embeddings" });
  const signal = AbortSignal.timeout(EMBEDDINGS_MS_MAX);
  for (let attempt = 1; ; attempt++) {
    try {
      return await askAccounted(orgId, asked, body, signal);
    } catch (thrown) {
      const error = signal.aborted ? new UpstreamError("timeout") : toUpstreamError(thrown, false);
      log.warn("embeddings failed", {
        upstream: asked.upstream.name,
        reason: error.reason,
        status: error.status ?? undefined,
      });
      if (!error.retryable || signal.aborted || attempt >= EMBEDDINGS_ATTEMPTS_MAX) throw error;
    }
  }
}

/** The configured upstream at EMBEDDINGS_API_BASE, or the gateway's own where that is the gateway; else one that is only this. */
async function searchUpstream(orgId: string | null): Promise<Asked> {
  const base = process.env.EMBEDDINGS_API_BASE?.replace(/\/+$/, "");
  if (!base) throw new Error("EMBEDDINGS_API_BASE is not set: no embeddings");
  const known = upstreams().find((upstream) =>
    base.endsWith(GATEWAY_PATH) ? upstream.embeddings !== false : upstream.baseUrl === base,
  );
  const upstream: Upstream = known ?? {
    name: "embeddings",
    baseUrl: base,
    needsKey: false,
    models: [],
    embeddings: true,
    omit: [],
    price: null,
    askAhead: null,
  };
  const operators = base.endsWith(GATEWAY_PATH) ? operatorKey(upstream) : embeddingsApiKey() || operatorKey(upstream);
  const own = orgId === null ? undefined : (await ownKeys(orgId)).get(upstream.name);
  return { upstream, key: own ?? operators };
}

async function askAccounted(
  orgId: string | null,
  { upstream, key }: Asked,
  body: JsonObject,
  signal: AbortSignal,
): Promise<string> {
  if (key === "") throw new UpstreamError("key_invalid", { code: "cannot_be_opened" }); // the operator's must not pay in its place
  const model = typeof upstream.embeddings === "string" ? upstream.embeddings : body.model;
  const begun = performance.now();
  const text = await ask(upstream, key, { ...body, model }, signal);
  if (orgId !== null) {
    const durationMs = performance.now() - begun;
    const call = { orgId, purpose: "embedding", turnId: null, upstream: upstream.name, model: String(model) } as const;
    recordCall({ ...call, usage: usageOf(text, body), price: priceOf(upstream, String(model)), durationMs });
  }
  return text;
}

/** An upstream's price is that of its chat models: an embedding model has one where it is listed with it. */
function priceOf({ models }: Upstream, model: string): Price | null {
  return models === "all" ? null : (models.find((listed) => listed.model === model)?.price ?? null);
}

async function ask(
  upstream: Upstream,
  key: string | undefined,
  body: JsonObject,
  signal: AbortSignal,
): Promise<string> {
  const sent = { method: "POST", path: "/embeddings", key, body: JSON.stringify(body), signal } as const;
  const { response, release } = await send(upstream, sent);
  try {
    const text = await readText(response.body, EMBEDDINGS_BYTES_MAX);
    if (response.statusCode !== 200) {
      throw refusalOf(response.statusCode, parseJson(text) ?? text, response.headers["retry-after"]);
    }
    return text;
  } finally {
    release();
  }
}

/** Providers write the usage behind the vectors, and those are long: only the end is read. */
function usageOf(answer: string, body: JsonObject): Usage {
  const at = answer.lastIndexOf('"usage"');
  const end = /^"usage"\s*:\s*(\{[^{}]*\})/.exec(at < 0 ? "" : answer.slice(at));
  const said = readUsage(end?.[1] === undefined ? null : parseJson(end[1]));
  if (said !== null) return { ...said, completion_tokens: 0 };
  const tokens = estimateTokens(JSON.stringify(body.input ?? "").length);
  const nothing = { completion_tokens: 0, cached_tokens: null, reasoning_tokens: null };
  return { prompt_tokens: tokens, total_tokens: tokens, ...nothing, estimated: true };
}
