import { onBestServer } from "./choose-server";
import { LettaError } from "./errors";
import type { LettaEvent } from "./events";
import type { Context } from "./letta";
import type { LettaTenant } from "./org";
import { list, runOf } from "./resources";
import type { Server } from "./server";
import { openStream } from "./stream";

export interface StreamMessage {
  conversationId: string;
  content: string;
  /** A name of ours for this message, by which it is found again in Letta's list. A UUID. */
  otid?: string | undefined;
  /** Stops the run as well: closing a stream alone would let Letta work on (perf-reliability L17). */
  signal?: AbortSignal | undefined;
}

/** How often Letta is asked whether a run has ended. */
const STOP_POLL_MS = 100;

/** Conversations whose last run is being stopped; beyond, a stop is not waited for by the next message. */
const STOPPING_MAX = 1_000;

export async function* streamMessage(
  context: Context,
  tenant: LettaTenant,
  message: StreamMessage,
): AsyncGenerator<LettaEvent, void> {
  const { conversationId, signal } = message;
  await context.stopping.get(conversationId);
  const leave = await context.streams.enter(tenant.orgId, signal);
  let asked = false;
  let answering: Server | undefined;
  let ended = false;
  try {
    // The generator is opened on one server; only what was never heard moves on to another.
    const { server, first, rest } = await onBestServer(context.servers, signal, async (server) => {
      asked = true;
      const stream = openStream(
        server,
        {
          path: `/v1/conversations/${encodeURIComponent(conversationId)}/messages`,
          headers: {
            user_id: tenant.lettaUserId,
            ...(context.apiKey === "" ? {} : { authorization: `Bearer ${context.apiKey}` }),
          },
          // Pings: the first names the run before the model is asked, and later ones show that the connection lives.
          body: {
            messages: [
              { role: "user", content: message.content, ...(message.otid === undefined ? {} : { otid: message.otid }) },
            ],
            streaming: true,
            stream_tokens: true,
            include_pings: true,
          },
          signal,
        },
        context.limits,
      );
      return { server, first: await stream.next(), rest: stream };
    });
    answering = server;
    answering.inFlight++;
    if (!first.done) {
      yield first.value;
      yield* rest;
    }
    ended = true;
  } catch (error) {
    if (answering !== undefined && error instanceof LettaError && error.blame === "server")
      answering.breaker.enter().failed();
    // What Letta itself ended needs no stop; what it may still be working on does.
    if (
      error instanceof LettaError &&
      (error.blame === "model" || error.blame === "request") &&
      !STILL_RUNNING.has(error.kind)
    )
      ended = true;
    throw error;
  } finally {
    if (answering !== undefined) answering.inFlight--;
    leave();
    if (asked && !ended) stopLater(context, tenant, conversationId);
  }
}

const STILL_RUNNING = new Set<LettaError["kind"]>(["model_timeout"]);

function stopLater(context: Context, tenant: LettaTenant, conversationId: string): void {
  if (context.stopping.has(conversationId) || context.stopping.size >= STOPPING_MAX) return;
  const stopping = stopRuns(context, tenant, conversationId).then(
    () => undefined,
    () => undefined, // Letta is away: the next message will find that out by itself
  );
  context.stopping.set(
    conversationId,
    stopping.finally(() => context.stopping.delete(conversationId)),
  );
}

/** Asks Letta to stop what runs in a conversation, and asks again until nothing does. */
export async function stopRuns(context: Context, tenant: LettaTenant, conversationId: string): Promise<boolean> {
  const headers = { user_id: tenant.lettaUserId };
  const deadline = AbortSignal.timeout(context.limits.cancelMsMax);
  const path = `/v1/conversations/${encodeURIComponent(conversationId)}`;
  try {
    for (;;) {
      const live = list(
        await context.call(tenant.orgId, deadline, (client, signal) =>
          client.get("/v1/runs/", {
            query: { conversation_id: conversationId, statuses: ["created", "running"] },
            headers,
            signal,
          }),
        ),
      ).map(runOf);
      if (live.length === 0) return true;
      await context
        .call(tenant.orgId, deadline, (client, signal) => client.post(`${path}/cancel`, { headers, signal }))
        .catch((error: unknown) => {
          if (!(error instanceof LettaError && error.kind === "conflict")) throw error; // 409: it ended in between
        });
      await new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
    }
  } catch (error) {
    if (deadline.aborted) return false;
    throw error;
  }
}
