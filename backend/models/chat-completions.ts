import type { ServerResponse } from "node:http";
import { api } from "encore.dev/api";
import log from "encore.dev/log";
import { askUpstream } from "./ask-upstream";
import { assemble, chunkOf, errorChunk, firstChunk, LAST_CHUNK, newAssembly, newHead, wholeAnswer } from "./assemble";
import { isLetta } from "./gateway-key";
import { isObject, type JsonObject } from "./json";
import { answerError, answerJson, answerNotLetta, errorBody } from "./openai-errors";
import { readChatRequest } from "./read-request";
import { UpstreamError } from "./upstream-error";

/** OpenAI's chat completions for Letta, answered by the upstreams, in the form it asks for: whole or streamed. */
export const gatewayChat = api.raw(
  {
    expose: true,
    method: "POST",
    path: "/internal/models/v1/chat/completions",
    tags: ["internal"],
    bodyLimit: null, // readRequest has its own, whose error Letta understands
  },
  async (req, resp) => {
    if (!isLetta(req)) return answerNotLetta(resp);
    const gone = new AbortController();
    resp.once("close", () => gone.abort()); // on hosts that tell
    try {
      const body = await readChatRequest(req);
      if (body.stream === true) await answerStream(resp, body, gone.signal);
      else await answerWhole(resp, body, gone.signal);
    } catch (error) {
      report(error);
      if (!resp.headersSent) answerError(resp, error);
      else resp.end(errorChunk(errorBody(error).body));
    }
  },
);

async function answerWhole(resp: ServerResponse, body: JsonObject, signal: AbortSignal): Promise<void> {
  const head = newHead(String(body.model));
  const answer = newAssembly();
  for await (const event of askUpstream({ orgId: null, body, signal })) assemble(answer, event);
  answerJson(resp, 200, wholeAnswer(head, answer));
}

/** The head is sent with the first event: until then an error still has a status. */
async function answerStream(resp: ServerResponse, body: JsonObject, signal: AbortSignal): Promise<void> {
  const head = newHead(String(body.model));
  const includeUsage = isObject(body.stream_options) && body.stream_options.include_usage === true;
  for await (const event of askUpstream({ orgId: null, body, signal })) {
    if (event.type === "begin") {
      resp.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache" });
      resp.write(firstChunk(head));
      continue;
    }
    const text = chunkOf(head, event, includeUsage);
    if (text !== "") resp.write(text);
  }
  resp.end(LAST_CHUNK);
}

function report(error: unknown): void {
  if (!(error instanceof UpstreamError)) {
    log.error("the model gateway failed", { error: error instanceof Error ? error.name : String(error) });
    return;
  }
  const { reason, upstream, status, code, afterFirstToken } = error;
  if (reason === "cancelled") return;
  log.warn("a language model's answer failed", {
    reason,
    upstream: upstream ?? undefined,
    status: status ?? undefined,
    code: code ?? undefined,
    after_first_token: afterFirstToken,
  });
}
