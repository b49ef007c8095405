import { describe, expect, it } from "vitest";
import { readUsage } from "./usage";

describe("what a provider says of its tokens", () => {
  it("is no less than nothing and no more than the ledger holds, whatever it says (SEC-5)", () => {
    expect(readUsage({ prompt_tokens: 12, completion_tokens: 3 })).toMatchObject({
      prompt_tokens: 12,
      total_tokens: 15,
    });
    expect(readUsage({ prompt_tokens: -5, completion_tokens: Number.NaN })).toBeNull();
    const huge = readUsage({ prompt_tokens: 1e300, completion_tokens: 3e9 });
    expect(huge).toMatchObject({ prompt_tokens: 10_000_000, completion_tokens: 10_000_000 });
  });
});
