import { describe, expect, it } from "vitest";
import type { Outcome } from "./end-turn";
import { type StopReason, stopped } from "./stopped";

const figures = { firstTokenMs: 12, durationMs: 340, runId: "run-1", spent: null, inLetta: true };

describe("a turn that is stopped (SSE-6, SEC-5)", () => {
  it.each<[StopReason, Partial<Outcome>]>([
    ["cancelled", { kind: "cancelled" }],
    ["lost", { kind: "cancelled" }],
    ["deadline", { kind: "failed", reason: "turn_deadline", retryable: true }],
    ["budget", { kind: "cancelled", reason: "budget_spent" }],
    ["shutdown", { kind: "failed", reason: "interrupted", retryable: true }],
  ])("by %s ends as that, with its figures so far", (reason, end) => {
    const controller = new AbortController();
    controller.abort(reason);
    expect(stopped(figures, controller.signal)).toMatchObject({ ...figures, ...end });
  });
});
