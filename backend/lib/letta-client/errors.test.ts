import { expect, it } from "vitest";
import { fromStatus, LettaError, toLettaError } from "./errors";

it.each([
  [401, { detail: "Unauthorized" }, "unauthorized", false],
  [404, { detail: "Agent not found" }, "not_found", false],
  [409, { detail: "busy" }, "conflict", true],
  [422, { detail: "bad id" }, "invalid_request", false],
  [400, { detail: "This model's maximum context length is 8192 tokens" }, "context_too_long", false],
  [429, { error: { type: "llm_rate_limit" } }, "rate_limited", true],
  [500, { detail: "An unknown error occurred" }, "internal", true],
  [500, { error: { type: "llm_error", detail: "x" } }, "model_failed", true],
  [503, { detail: "database" }, "unavailable", true],
  [504, { error: { type: "llm_timeout" } }, "model_timeout", true],
  [500, "<html>a proxy's page</html>", "internal", true],
] as const)("an answer with status %i and body %j is %s (LET-2)", (status, body, kind, retryable) => {
  expect(fromStatus(status, body)).toMatchObject({ kind, retryable, status });
});

it("finds the cause however deep a library buried it (LET-2)", () => {
  const reset = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
  expect(toLettaError(new TypeError("fetch failed", { cause: new Error("wrapped", { cause: reset }) }))).toMatchObject({
    kind: "unavailable",
    code: "ECONNRESET",
  });
  const own = new LettaError("model_timeout", { code: "idle" });
  expect(toLettaError(new Error("aborted", { cause: own }))).toBe(own);
  const circular = new Error("a");
  circular.cause = circular;
  expect(toLettaError(circular)).toMatchObject({ kind: "bad_response" });
});

it("tells a caller's stop from a deadline (LET-2)", () => {
  expect(toLettaError(new Error("aborted"), AbortSignal.abort())).toMatchObject({
    kind: "cancelled",
    retryable: false,
  });
  const late = AbortSignal.abort(new LettaError("timeout", { code: "first_byte" }));
  expect(toLettaError(new DOMException("aborted", "AbortError"), late)).toMatchObject({
    kind: "timeout",
    code: "first_byte",
  });
});
