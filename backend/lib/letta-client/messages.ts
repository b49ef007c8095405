import { outgoing } from "../tracing";
import { onBestServer } from "./choose-server";
import { LettaError } from "./errors";
import type { LettaEvent } from "./events";
import type { Context } from "./letta";
import type { LettaTenant } from "./org";
import type { Server } from "./server";
import { stopLater } from "./stop";
import { openStream } from "./stream";

export interface AskLetta {
  conversationId: string;
  content: string;
  /** A name of ours for this message, by which it is found again in Letta's list. A UUID. */
  otid?: string | undefined;
  /** It bears this name also in what Letta asks of its model, where that is us. */
  name?: string | undefined;
  /** Stops the answer as well: closing a connection alone would let Letta work on (perf-reliability L17). */
  signal?: AbortSignal | undefined;
  /** Called when the message has a place, right before it is sent. */
  admitted?: (() => void) | undefined;
}

export async function* streamMessage(
  context: Context,
  tenant: LettaTenant,
  message: AskLetta,
): AsyncGenerator<LettaEvent, void> {
  const { conversationId, signal } = message;
  await context.stopping.get(conversationId);
  const leave = await context.streams.enter(tenant.orgId, signal);
  message.admitted?.();

  // A caller's stop closes the request only once the run is known: before, Letta would make a run that nobody could stop.
  const closer = new AbortController();
  const close = () => closer.abort();
  const asked = new Set<Server>();
  const begun = begin(context, tenant, message, closer.signal, asked);
  const opened = begun.then(
    () => undefined,
    () => undefined,
  );
  context.opening.set(conversationId, opened);
  void opened.then(() => context.opening.delete(conversationId));

  let answering: Server | undefined;
  let ended = false;
  try {
    const { server, first, rest } = await unlessStopped(begun, signal);
    signal?.addEventListener("abort", close, { once: true });
    if (signal?.aborted) close();
    answering = server;
    answering.inFlight++;
    if (!first.done) {
      yield first.value;
      yield* rest;
    }
    ended = true;
  } catch (error) {
    if (error instanceof LettaError) {
      if (error.blame === "server") answering?.breaker.enter().failed();
      // What Letta itself ended needs no stop; what it may still be working on does.
      ended = (error.blame === "model" || error.blame === "request") && error.kind !== "model_timeout";
    }
    throw error;
  } finally {
    signal?.removeEventListener("abort", close);
    if (answering !== undefined) answering.inFlight--;
    if (ended || asked.size === 0) {
      leave();
    } else {
      const closed = opened.then(() => {
        close();
        leave();
      });
      stopLater(context, tenant, conversationId, closed);
    }
  }
}

/** Sends the message and waits for its first event, which names the run. Only what no server heard moves on to another. */
function begin(context: Context, tenant: LettaTenant, message: AskLetta, signal: AbortSignal, asked: Set<Server>) {
  // Pings: the first names the run before the model is asked, and later ones show that the connection lives.
  const how = { streaming: true, stream_tokens: true, include_pings: true };
  const request = { ...messageRequest(context, tenant, message, how), signal };
  return onBestServer(context.servers, signal, async (server) => {
    asked.add(server);
    const rest = openStream(server, request, context.limits);
    return { server, first: await rest.next(), rest };
  });
}

/** A message as Letta wants it, to be answered as `how` says. */
export function messageRequest(
  { apiKey }: Context,
  { lettaUserId }: LettaTenant,
  { conversationId, content, otid, name }: AskLetta,
  how: object,
) {
  return {
    path: `/v1/conversations/${encodeURIComponent(conversationId)}/messages`,
    headers: {
      user_id: lettaUserId,
      ...(apiKey === "" ? {} : { authorization: `Bearer ${apiKey}` }),
      ...outgoing(),
    },
    body: {
      messages: [
        { role: "user", content, ...(otid === undefined ? {} : { otid }), ...(name === undefined ? {} : { name }) },
      ],
      ...how,
    },
  };
}

/** The promise's result, or as soon as the signal says so its LettaError, else `cancelled`; the promise goes on by itself. */
export async function unlessStopped<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let onAbort = () => {};
  const stopped = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason instanceof LettaError ? signal.reason : new LettaError("cancelled"));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
