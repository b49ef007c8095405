import type { CancelReason } from "../../lib/events";
import type { Ending, Outcome } from "./end-turn";

/**
 * Why a turn is stopped from outside: what its `AbortController.abort` is given. Whatever the reason, the upstream's request ends at once, and
 * Letta is given what was said so far as the answer.
 */
export type StopReason = "cancelled" | "deadline" | "budget" | "lost" | "shutdown";

/** How a turn ends whose process ended in mid-answer. */
export const INTERRUPTED = {
  kind: "failed",
  reason: "interrupted",
  message: "The server stopped while the agent was answering. What it had said is kept.",
  retryable: true,
} as const;

const BUDGET_SPENT: CancelReason = "budget_spent";

/** How a turn ends that was stopped, with its figures so far. */
export function stopped(figures: Ending, signal: AbortSignal): Outcome {
  switch (signal.reason as StopReason) {
    case "deadline":
      return {
        ...figures,
        kind: "failed",
        reason: "turn_deadline",
        message: "The agent took too long and was stopped.",
        retryable: true,
      };
    case "budget":
      return {
        ...figures,
        kind: "cancelled",
        reason: BUDGET_SPENT,
      };
    case "shutdown":
      return { ...figures, ...INTERRUPTED };
    default:
      return { ...figures, kind: "cancelled" };
  }
}
