import { describe, expect, it } from "vitest";
import { refusalOf, retryAfterMs } from "./refusal";

const error = (message: string, code: string | null = null, type: string | null = null) => ({
  error: { message, code, type },
});

describe("a provider's refusal", () => {
  it.each([
    [401, error("Incorrect API key provided: sk-x", "invalid_api_key"), "key_invalid"],
    [403, error("Country, region, or territory not supported"), "key_invalid"],
    [402, error("Payment required"), "out_of_credit"],
    [429, error("You exceeded your current quota", "insufficient_quota"), "out_of_credit"],
    [400, error("Your credit balance is too low to access the Anthropic API."), "out_of_credit"],
    [429, error("Rate limit reached for gpt-4.1"), "rate_limited"],
    [429, "<html>", "rate_limited"],
    [400, error("This model's maximum context length is 8192 tokens", "context_length_exceeded"), "context_too_long"],
    [
      400,
      error("prompt is too long: 210000 tokens > 200000 maximum", null, "invalid_request_error"),
      "context_too_long",
    ],
    [413, "", "context_too_long"],
    [400, error("The response was filtered", "content_filter"), "content_refused"],
    [403, { error: { message: "Your input was flagged", metadata: { reasons: ["violence"] } } }, "content_refused"],
    [404, error("The model `x` does not exist", "model_not_found"), "model_unknown"],
    [400, error("xyz is not a valid model ID"), "model_unknown"],
    [
      400,
      [
        {
          error: { code: 400, message: "API key not valid. Please pass a valid API key.", status: "INVALID_ARGUMENT" },
        },
      ],
      "key_invalid",
    ],
    [400, error("Invalid schema for function 'x'"), "request_refused"],
    [422, { detail: "extra fields" }, "request_refused"],
    [500, error("The server had an error"), "unavailable"],
    [503, "", "unavailable"],
    [529, error("Overloaded", null, "overloaded_error"), "unavailable"],
    [504, "", "timeout"],
    [302, "", "bad_response"],
  ])("%i %j is %s", (status, body, reason) => {
    const refusal = refusalOf(status, body);
    expect(refusal).toMatchObject({ reason, status });
    expect(refusal.message).not.toContain("sk-x");
  });

  it("says how long it wants to be left alone, in seconds or as a date", () => {
    const now = Date.parse("2026-11-22T10:00:00Z");
    expect(retryAfterMs("2", now)).toBe(2_000);
    expect(retryAfterMs("0.5", now)).toBe(500);
    expect(retryAfterMs("Sun, 22 Nov 2026 10:00:07 GMT", now)).toBe(7_000);
    expect(retryAfterMs("soon", now)).toBeNull();
    expect(refusalOf(429, "", "3").retryAfterMs).toBe(3_000);
  });
});
