import { onBestServer } from "./choose-server";
import { ANSWER_CHARS_MAX, type LettaLimits } from "./config";
import { fromModelError, fromStatus, LettaError, toLettaError } from "./errors";
import { decode, isFailedStop, isObject, type LettaEvent } from "./events";
import type { Context } from "./letta";
import { type AskLetta, messageRequest, unlessStopped } from "./messages";
import type { LettaTenant } from "./org";
import { list } from "./resources";
import { requestStream, type Server } from "./server";

/**
 * Says something to an agent whose model is Graphyn's own gateway, and gives what Letta makes of it when it has stored it all: the words
 * themselves come by the gateway. Letta spends 87 ms of CPU on it where its event stream of whole steps costs 120 (2026-11-22, 8 at once).
 *
 * Letta names no run that could be stopped, and works on when the connection closes. So a caller's stop ends only the waiting: the request
 * lives until Letta has answered it, which the gateway sees to by refusing it a model, and the conversation's next message waits for that.
 */
export async function sendWhole(context: Context, tenant: LettaTenant, message: AskLetta): Promise<LettaEvent[]> {
  const { conversationId, signal } = message;
  await context.stopping.get(conversationId);
  const leave = await context.streams.enter(tenant.orgId, signal);
  message.admitted?.();
  const late = new AbortController();
  const answered = onBestServer(context.servers, late.signal, (server) =>
    ask(server, context.limits, { ...messageRequest(context, tenant, message, { streaming: false }), late }),
  ).finally(leave);
  try {
    return await unlessStopped(answered, signal);
  } catch (error) {
    settleLater(context, conversationId, answered, late);
    throw error;
  }
}

interface Request {
  path: string;
  headers: Record<string, string>;
  body: unknown;
  late: AbortController;
}

async function ask(server: Server, limits: LettaLimits, { path, headers, body, late }: Request): Promise<LettaEvent[]> {
  const total = setTimeout(() => late.abort(new LettaError("model_timeout", { code: "total" })), limits.totalMsMax);
  try {
    const response = await requestStream(server, {
      method: "POST",
      path,
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: late.signal,
      // Its head comes with its end.
      headersTimeout: limits.totalMsMax,
    });
    const answer = await readJson(response.body);
    if (response.statusCode !== 200) throw fromStatus(response.statusCode, answer);
    return eventsOf(answer);
  } catch (error) {
    throw toLettaError(error, late.signal);
  } finally {
    clearTimeout(total);
  }
}

/** Letta's whole answer as the events that its stream would have had. Throws when it says that it failed. */
export function eventsOf(answer: unknown): LettaEvent[] {
  if (!isObject(answer) || !isObject(answer.stop_reason))
    throw new LettaError("bad_response", { code: "no_stop_reason" });
  const messages = list(answer.messages).filter(isObject);
  const runId = messages.find((message) => typeof message.run_id === "string")?.run_id;
  const events: LettaEvent[] = typeof runId === "string" ? [{ type: "run", runId }] : [];
  for (const raw of [...messages, answer.usage, answer.stop_reason]) {
    if (isObject(raw)) events.push(...decode(raw, undefined));
  }
  const stop = events.find((event) => event.type === "stop");
  if (!stop) throw new LettaError("bad_response", { code: "no_stop_reason" });
  if (isFailedStop(stop.reason)) throw fromModelError(stop.reason, null);
  return events;
}

async function readJson(body: AsyncIterable<Uint8Array>): Promise<unknown> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > ANSWER_CHARS_MAX) throw new LettaError("bad_response", { code: "answer_too_long" });
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Conversations whose last message Letta still works on; beyond, that is not waited for by the next message. */
const SETTLING_MAX = 1_000;

/** Lets an abandoned request come to its end; the conversation's next message waits for it, up to a bound. */
function settleLater(
  { stopping, limits }: Context,
  conversationId: string,
  answered: Promise<unknown>,
  late: AbortController,
): void {
  const timer = setTimeout(() => late.abort(new LettaError("cancelled")), limits.cancelMsMax);
  const settled = answered
    .then(
      () => undefined,
      () => undefined,
    )
    .finally(() => clearTimeout(timer));
  if (stopping.has(conversationId) || stopping.size >= SETTLING_MAX) return;
  stopping.set(
    conversationId,
    settled.finally(() => stopping.delete(conversationId)),
  );
}
