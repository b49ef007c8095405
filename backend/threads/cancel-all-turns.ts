import { api } from "encore.dev/api";
import { caller } from "../organizations/caller";
import { cancelTurns, type TurnView } from "./cancel-turns";
import type { ThreadContext } from "./thread-context";

interface CancelAllResponse {
  /** Those that were queued or running. */
  turns: TurnView[];
  context: ThreadContext;
}

/**
 * Stops every agent of a thread: all its queued and running turns. For whoever knows the thread and no turn of it, such as a client that
 * has just been loaded. What was said so far stays.
 */
export const cancelAllTurns = api(
  { expose: true, auth: true, method: "POST", path: "/threads/:id/cancel" },
  async ({ id }: { id: string }): Promise<CancelAllResponse> => cancelTurns(caller(), { threadId: id }),
);
