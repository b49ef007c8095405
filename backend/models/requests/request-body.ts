/** What an upstream is sent: Letta's request, as a stream, with the upstream's own name of the model. */
import type { JsonObject } from "../json";
import type { Upstream } from "../upstreams/upstream";

/** OpenAI's models that reason: they refuse these settings, and Letta knows them by names that the gateway does not list. */
const REASONS = /^(o[134]|gpt-5)/;
const REASONERS_REFUSE = ["temperature", "top_p", "parallel_tool_calls", "frequency_penalty", "presence_penalty"];

export function requestBody(body: JsonObject, upstream: Upstream, model: string): string {
  const sent: Record<string, unknown> = { ...body, model, stream: true, stream_options: { include_usage: true } };
  if (REASONS.test(model)) for (const field of REASONERS_REFUSE) delete sent[field];
  if (model.endsWith("-fast")) delete sent.service_tier; // Letta's, in place of the end of the name: see fastName
  for (const field of upstream.omit) delete sent[field];
  return JSON.stringify(sent);
}
