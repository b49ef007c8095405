import { api, type Header } from "encore.dev/api";
import { marked } from "../lib/idempotency";
import { caller } from "../organizations/caller";
import { cancelTurns, type TurnView } from "./cancel-turns";
import type { ThreadContext } from "./thread-context";

interface CancelAllRequest {
  id: string;
  /** A retry with the same key and request gets the first answer again and does nothing. Up to 255 characters, kept for 24 hours. */
  idempotency_key?: Header<"Idempotency-Key">;
}

interface CancelAllResponse {
  /** Those that were queued or running. */
  turns: TurnView[];
  context: ThreadContext;
  /** `true` where the answer was given before, to the same request with the same Idempotency-Key. */
  replayed?: Header<"Idempotent-Replayed">;
}

/**
 * Stops every agent of a thread: all its queued and running turns. For whoever knows the thread and no turn of it, such as a client that
 * has just been loaded. What was said so far stays.
 */
export const cancelAllTurns = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/cancel" },
  async ({ id, idempotency_key }: CancelAllRequest): Promise<CancelAllResponse> =>
    marked(await cancelTurns(caller(), { threadId: id, idempotencyKey: idempotency_key })),
);
