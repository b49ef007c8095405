/** `POST /v1/chat/completions`, streamed and whole, at the pace and with the faults that the behaviour asks for. */
import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, answer, type Delta, type ToolCallDelta } from "./answer";
import { behaviourOfModel } from "./behaviour";
import { contextTooLong, ModelError, requestedError } from "./errors";
import { HANG_MS_MAX, TOKENS_PER_WRITE_MAX } from "./limits";
import type { Trace } from "./recorder";
import { type ChatRequest, type JsonObject, readChatRequest } from "./request";
import { estimateTokens } from "./tokens";

const GARBAGE = 'data: {"id":"chatcmpl-garbage","choices":[{"delta":{"content":\n\ndata: <html>502</html>\n\n';
const unknownModel = (id: string) =>
  new ModelError(
    404,
    "invalid_request_error",
    `The model "${id}" does not exist. GET /v1/models lists common ones; README.md has the grammar of the ids.`,
    "model_not_found",
    "model",
  );

/** Answers one request. Resolves when the answer is complete, cut, or its reader has gone. */
export async function complete(body: JsonObject, res: ServerResponse, trace: Trace): Promise<void> {
  const request = readChatRequest(body);
  const base = behaviourOfModel(request.model);
  if (base === null) throw unknownModel(request.model);
  const made = answer(request, base);
  const gone = new AbortController();
  res.once("close", () => gone.abort());

  const { behaviour } = made;
  await wait(behaviour.firstTokenMs, gone.signal);
  if (behaviour.answer.kind === "error") throw requestedError(behaviour.answer.status);
  const promptTokens = promptTokensOf(request);
  if (behaviour.windowTokens !== null && promptTokens > behaviour.windowTokens) {
    throw contextTooLong(behaviour.windowTokens, promptTokens);
  }
  if (behaviour.answer.kind === "hang") {
    await wait(HANG_MS_MAX, gone.signal);
    trace.ended(gone.signal.aborted);
    res.destroy();
    return;
  }
  const head = {
    id: `chatcmpl-${createHash("sha256").update(JSON.stringify(body)).digest("hex").slice(0, 24)}`,
    created: Math.floor(Date.now() / 1000),
    model: request.model,
  };
  if (request.stream) await sendStream(request, made, head, res, trace, gone.signal);
  else await sendWhole(request, made, head, res, trace, gone.signal);
}

type Head = { id: string; created: number; model: string };

async function sendStream(
  request: ChatRequest,
  made: Answer,
  head: Head,
  res: ServerResponse,
  trace: Trace,
  gone: AbortSignal,
): Promise<void> {
  const event = (fields: object) =>
    `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", ...(request.includeUsage && { usage: null }), ...fields })}\n\n`;
  const chunk = (delta: object, finish: string | null) =>
    event({ choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });

  trace.status(200);
  res.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
  if (made.behaviour.answer.kind === "garbage") {
    res.end(`${chunk({ role: "assistant", content: "Here comes " }, null)}${GARBAGE}data: [DONE]\n\n`);
    return;
  }
  const cut = made.behaviour.cutAfterTokens ?? made.behaviour.holdAfterTokens;
  const deltas = cut === null ? made.deltas : made.deltas.slice(0, cut);
  let opening = chunk({ role: "assistant", content: "", refusal: null }, null);
  for await (const batch of paced(deltas, made.behaviour.tokensPerSecond, gone)) {
    await write(res, opening + batch.map((delta) => chunk(delta, null)).join(""), gone);
    opening = "";
    for (const _ of batch) trace.token();
  }
  if (gone.aborted) return;
  if (cut !== null) {
    if (opening !== "") await write(res, opening, gone);
    if (made.behaviour.cutAfterTokens === null) await wait(HANG_MS_MAX, gone);
    trace.ended(gone.aborted);
    res.destroy();
    return;
  }
  const usage = request.includeUsage ? event({ choices: [], usage: usageOf(request, made) }) : "";
  trace.finished(made.finish);
  res.end(`${opening}${chunk({}, made.finish)}${usage}data: [DONE]\n\n`);
}

async function sendWhole(
  request: ChatRequest,
  made: Answer,
  head: Head,
  res: ServerResponse,
  trace: Trace,
  gone: AbortSignal,
): Promise<void> {
  const { tokensPerSecond, cutAfterTokens, holdAfterTokens } = made.behaviour;
  if (holdAfterTokens !== null) await wait(HANG_MS_MAX, gone);
  if (tokensPerSecond !== null) await wait((made.deltas.length * 1000) / tokensPerSecond, gone);
  if (gone.aborted) return;
  const content = made.deltas.map((delta) => ("content" in delta ? delta.content : "")).join("");
  const calls = joinCalls(made.deltas);
  const message = {
    role: "assistant",
    content: content === "" ? null : content,
    refusal: null,
    ...(calls.length > 0 && { tool_calls: calls }),
  };
  const payload = JSON.stringify({
    ...head,
    object: "chat.completion",
    choices: [{ index: 0, message, logprobs: null, finish_reason: made.finish }],
    usage: usageOf(request, made),
  });
  trace.status(200);
  res.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(payload) });
  if (cutAfterTokens !== null) {
    await write(res, payload.slice(0, payload.length / 2), gone);
    trace.ended(gone.aborted);
    res.destroy();
    return;
  }
  for (const _ of made.deltas) trace.token();
  trace.finished(made.finish);
  res.end(made.behaviour.answer.kind === "garbage" ? "{".padEnd(Buffer.byteLength(payload), " ") : payload);
}

/** Batches of tokens, each when it is due: token i at i / rate after the first. A late timer sends all that is due, so the rate holds. */
async function* paced(
  deltas: readonly Delta[],
  tokensPerSecond: number | null,
  gone: AbortSignal,
): AsyncGenerator<Delta[]> {
  const begin = performance.now();
  let sent = 0;
  while (sent < deltas.length && !gone.aborted) {
    if (tokensPerSecond === null) {
      yield deltas.slice(sent, sent + TOKENS_PER_WRITE_MAX);
      sent += TOKENS_PER_WRITE_MAX;
      continue;
    }
    const due = Math.floor(((performance.now() - begin) * tokensPerSecond) / 1000) + 1;
    if (due > sent) yield deltas.slice(sent, due);
    sent = Math.max(sent, due);
    await wait((sent * 1000) / tokensPerSecond - (performance.now() - begin), gone);
  }
}

/** Resolves when the bytes have left this process, or at once when nobody reads them any more. */
function write(res: ServerResponse, text: string, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (gone.aborted) return resolve();
    const done = () => {
      gone.removeEventListener("abort", done);
      resolve();
    };
    gone.addEventListener("abort", done);
    res.write(text, done);
  });
}

async function wait(ms: number, gone: AbortSignal): Promise<void> {
  if (ms <= 0 || gone.aborted) return;
  await sleep(ms, undefined, { signal: gone }).catch(() => undefined);
}

function usageOf(request: ChatRequest, made: Answer): object {
  const prompt = promptTokensOf(request);
  return {
    prompt_tokens: prompt,
    completion_tokens: made.deltas.length,
    total_tokens: prompt + made.deltas.length,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
  };
}

function promptTokensOf(request: ChatRequest): number {
  return request.messages.reduce((sum, message) => sum + estimateTokens(message.text) + 1, 0);
}

function joinCalls(deltas: readonly Delta[]): object[] {
  const calls: { id: string; type: "function"; function: { name: string; arguments: string } }[] = [];
  const pieces: ToolCallDelta[] = deltas.flatMap((delta) => ("tool_calls" in delta ? delta.tool_calls : []));
  for (const piece of pieces) {
    const call = calls[piece.index];
    if (call !== undefined) call.function.arguments += piece.function.arguments;
    else
      calls.push({
        id: piece.id ?? "",
        type: "function",
        function: { name: piece.function.name ?? "", arguments: "" },
      });
  }
  return calls;
}
