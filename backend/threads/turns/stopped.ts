import type { Outcome } from "./end-turn";

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

/** How a turn ends that was stopped, with its figures so far. */
export function stopped(outcome: Outcome, signal: AbortSignal): Outcome {
  switch (signal.reason as StopReason) {
    case "deadline":
      return {
        ...outcome,
        kind: "failed",
        reason: "turn_deadline",
        message: "The agent took too long and was stopped.",
        retryable: true,
      };
    case "budget":
      return {
        ...outcome,
        kind: "failed",
        reason: "budget_spent",
        message:
          "The organization's budget for language models was spent while the agent answered. What it had said is kept.",
        retryable: false,
      };
    case "shutdown":
      return { ...outcome, ...INTERRUPTED };
    default:
      return { ...outcome, kind: "cancelled" };
  }
}
