/** One request to one upstream. */

import { type JsonObject, parseJson } from "../json";
import { ERROR_BYTES_MAX, type GatewayLimits } from "../limits";
import { estimateUsage } from "../metering/usage";
import { createChunkDecoder } from "../responses/decode-chunk";
import { readStream, readText, readWhole } from "../responses/read-answer";
import { refusalOf } from "../responses/refusal";
import type { UpstreamEvent } from "../responses/upstream-event";
import type { Candidate } from "../routing/candidates";
import { send } from "../upstreams/connections";
import { toUpstreamError } from "../upstreams/upstream-error";
import { startDeadlines } from "./deadlines";
import { requestBody } from "./request-body";

/** Hands over the answer's events, those of one read together; `finish` and `usage` always at the end. Throws UpstreamError. */
export async function askOnce(
  { upstream, model, key }: Candidate,
  body: JsonObject,
  limits: GatewayLimits,
  signal: AbortSignal,
  traceHeaders: Record<string, string>,
  take: (events: UpstreamEvent[]) => void | Promise<void>,
): Promise<void> {
  const deadlines = startDeadlines(limits, signal);
  const decoder = createChunkDecoder();
  let begun = false;
  let release = () => {};
  try {
    const sent = await send(upstream, {
      method: "POST",
      path: "/chat/completions",
      key,
      headers: { accept: "text/event-stream", ...traceHeaders },
      body: requestBody(body, upstream, model),
      signal: deadlines.signal,
    });
    release = sent.release;
    const { statusCode, headers, body: answer } = sent.response;
    if (statusCode !== 200) {
      const text = await readText(answer, ERROR_BYTES_MAX).catch(() => "");
      answer.destroy();
      throw refusalOf(statusCode, parseJson(text) ?? text, headers["retry-after"]);
    }
    begun = true;
    const isJson = /^application\/json/i.test(String(headers["content-type"] ?? ""));
    let hasUsage = false;
    await (isJson ? readWhole : readStream)(answer, decoder, (batch) => {
      if (batch.length > 0) deadlines.progress();
      hasUsage ||= batch.some(({ type }) => type === "usage");
      return take(batch);
    });
    if (!hasUsage) await take([{ type: "usage", usage: estimateUsage(body, decoder.chars) }]);
  } catch (thrown) {
    throw toUpstreamError(thrown, begun, deadlines.signal);
  } finally {
    deadlines.stop();
    release();
  }
}
