import { api } from "encore.dev/api";
import log from "encore.dev/log";
import { upstreams } from "./configured";
import { send } from "./connections";
import { isLetta } from "./gateway-key";
import { type JsonObject, parseJson } from "./json";
import { EMBEDDINGS_ATTEMPTS_MAX, EMBEDDINGS_BYTES_MAX, EMBEDDINGS_MS_MAX } from "./limits";
import { answerError, answerNotLetta } from "./openai-errors";
import { readText } from "./read-answer";
import { readRequest } from "./read-request";
import { refusalOf } from "./refusal";
import type { Upstream } from "./upstream";
import { toUpstreamError, UpstreamError } from "./upstream-error";
import { operatorKey } from "./upstream-keys";

/** Embeddings for Letta's archival memory, passed through to the upstream that makes them. */
export const gatewayEmbeddings = api.raw(
  {
    expose: true,
    method: "POST",
    path: "/internal/models/v1/embeddings",
    tags: ["internal"],
    bodyLimit: null, // readRequest has its own, whose error Letta understands
  },
  async (req, resp) => {
    if (!isLetta(req)) return answerNotLetta(resp);
    try {
      const text = await embed(await readRequest(req));
      resp.writeHead(200, { "Content-Type": "application/json" });
      resp.end(text);
    } catch (error) {
      answerError(resp, error);
    }
  },
);

/** The upstream's answer, as it wrote it. Throws UpstreamError. */
async function embed(body: JsonObject): Promise<string> {
  const upstream = upstreams().find(
    (candidate) => candidate.embeddings !== false && !(candidate.needsKey && operatorKey(candidate) === undefined),
  );
  if (upstream === undefined) throw new UpstreamError("model_unknown", { code: "no_embeddings" });
  const signal = AbortSignal.timeout(EMBEDDINGS_MS_MAX);
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask(upstream, body, signal);
    } catch (thrown) {
      const error = signal.aborted ? new UpstreamError("timeout") : toUpstreamError(thrown, false);
      log.warn("embeddings failed", {
        upstream: upstream.name,
        reason: error.reason,
        status: error.status ?? undefined,
      });
      if (!error.retryable || signal.aborted || attempt >= EMBEDDINGS_ATTEMPTS_MAX) throw error;
    }
  }
}

async function ask(upstream: Upstream, body: JsonObject, signal: AbortSignal): Promise<string> {
  const model = typeof upstream.embeddings === "string" ? upstream.embeddings : body.model;
  const { response, release } = await send(upstream, {
    method: "POST",
    path: "/embeddings",
    key: operatorKey(upstream),
    body: JSON.stringify({ ...body, model }),
    signal,
  });
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
