import { describe, expect, it } from "vitest";
import type { AppMeta } from "../../src/meta.js";
import { withOrigins } from "../../src/runtime/config.js";
import { makeCors } from "../../src/runtime/http/cors.js";

const APP = "https://app.example.com";
const meta = { cors: { allowHeaders: ["Last-Event-ID"] } } as unknown as AppMeta;

/** What a browser on `origin` is told before it sends an API key or a token. */
function preflight(list: string | undefined, origin: string): Map<string, string> {
  const said = makeCors(withOrigins(meta, list), [], null, false).preflight({
    origin,
    "access-control-request-method": "GET",
    "access-control-request-headers": "authorization,last-event-id",
  });
  return new Map(Array.from({ length: said.length / 2 }, (_, n) => [said[2 * n] ?? "", said[2 * n + 1] ?? ""]));
}
const allowed = (list: string | undefined, origin = APP) =>
  preflight(list, origin).get("access-control-allow-origin") ?? null;

describe("other origins, outside the local environment,", () => {
  it("may send credentials where the deployment names them, and nobody else may (ENC-1)", () => {
    expect(allowed(undefined)).toBeNull();
    expect(allowed("")).toBeNull();
    expect(allowed(`https://other.example.com, ${APP}/`)).toBe(APP);
    expect(allowed("https://other.example.com")).toBeNull();
    expect(allowed("https://*.example.com")).toBe(APP);
    expect(allowed("https://*.example.com", "https://example.com.evil.org")).toBeNull();
  });

  it("keep what else the app says: its own headers (ENC-1)", () => {
    expect(preflight(APP, APP).get("access-control-allow-headers")).toContain("last-event-id");
  });
});
