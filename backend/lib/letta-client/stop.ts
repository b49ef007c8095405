import { setTimeout as sleep } from "node:timers/promises";
import { LettaError } from "./errors";
import type { Context } from "./letta";
import type { LettaTenant } from "./org";
import { list, runOf } from "./resources";

/** How often Letta is asked whether a run has ended. */
const STOP_POLL_MS = 100;

/** Conversations whose last run is being stopped; beyond, a stop is not waited for by the next message. */
const STOPPING_MAX = 1_000;

/** Stops what runs in a conversation once `closed` holds. Its next message waits for that. */
export function stopLater(context: Context, tenant: LettaTenant, conversationId: string, closed: Promise<void>): void {
  const stopping = closed
    .then(() => stopRuns(context, tenant, conversationId))
    .then(
      () => undefined,
      () => undefined, // Letta is away: the next message will find that out by itself
    );
  if (context.stopping.has(conversationId) || context.stopping.size >= STOPPING_MAX) return;
  context.stopping.set(
    conversationId,
    stopping.finally(() => context.stopping.delete(conversationId)),
  );
}

/**
 * Asks Letta to stop what runs in a conversation, and asks again until nothing does. A message that this process is just sending has no
 * run yet: it is waited for.
 */
export async function stopRuns(context: Context, tenant: LettaTenant, conversationId: string): Promise<boolean> {
  await context.opening.get(conversationId);
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
      await sleep(STOP_POLL_MS);
    }
  } catch (error) {
    if (deadline.aborted) return false;
    throw error;
  }
}
