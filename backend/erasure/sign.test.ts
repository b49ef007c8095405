import { describe, expect, it } from "vitest";
import { isSigned, publicKeyOf, signText } from "./sign";

describe("a receipt's signature", () => {
  it("is checked with the public key alone, and fits no other text or key (SEC-6)", () => {
    const signature = signText('{"a":1}', "secret");
    expect(isSigned('{"a":1}', signature, publicKeyOf("secret"))).toBe(true);
    expect(isSigned('{"a":2}', signature, publicKeyOf("secret"))).toBe(false);
    expect(isSigned('{"a":1}', signature, publicKeyOf("another"))).toBe(false);
    expect(publicKeyOf("secret")).toMatch(/^-----BEGIN PUBLIC KEY-----/);
  });
});
