import { describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newThread, ok, type Problem } from "../harness/organization";
import { openClient } from "../realtime/client";
import { alone, answered, limit, PLENTY, type Posted, remaining, say } from "./spending";

const { adminUrl } = inject("graphyn");

describe("limits", () => {
  it("on requests a minute count those that ask a model: not messages without agents, retries or refusals (SEC-5)", async () => {
    const { own, its } = await alone();
    const threads = await Promise.all(Array.from({ length: 4 }, () => newThread(own, [its])));
    const quiet = await newThread(own);
    await limit(own, "organization", own.orgId, { requests_per_minute: 3 });
    for (let at = 0; at < 4; at++) await ok(say(own, quiet, "nobody answers"));
    const post = () =>
      own.call<Posted>("POST", `/threads/${threads[0]}/messages`, { content: "one" }, { "idempotency-key": "once" });
    expect((await ok(post())).message.id).toBe((await ok(post())).message.id);
    await ok(own.call("GET", "/search?q=one")); // is embedded
    expect((await say(own, threads[1] ?? "", "")).status).toBe(400);
    expect(await remaining(own, "organization", "requests_per_minute")).toBe(1);
    await ok(say(own, threads[1] ?? ""));
    for (const thread of threads.slice(2)) {
      const { status, body } = await say(own, thread);
      expect(status).toBe(429);
      const { retry_after_ms, ...details } = body.details;
      expect(details).toMatchObject({ metric: "requests_per_minute", limit: 3, remaining: 0, needed: 1 });
      expect(retry_after_ms).toBeGreaterThan(0);
      expect(retry_after_ms).toBeLessThanOrEqual(120_000);
    }
    expect((await own.call<Problem>("GET", "/search?q=one")).body.details.reason).toBe("quota_exceeded");
    await ok(say(own, quiet, "nobody answers"));
  }, 90_000);

  it("a minute hold for any sixty seconds, not for the clock's: what was taken in the minute before counts on (SEC-5)", async () => {
    const { own, its } = await alone();
    const [first, second] = [await newThread(own, [its]), await newThread(own, [its])];
    await limit(own, "organization", own.orgId, { requests_per_minute: 1_000, tokens_per_minute: PLENTY });
    await answered(own, first);
    const counters = async () => {
      const [row] = await adminQuery<Record<"tokens" | "reserved" | "requests" | "past" | "asked", number>>(
        adminUrl,
        `select minute_tokens::int as tokens, minute_reserved::int as reserved, minute_requests::int as requests,
           (before_tokens + before_reserved)::int as past, before_requests::int as asked from limits where org_id = $1`,
        [own.orgId],
      );
      return row;
    };
    const earlier = (minutes: number) =>
      adminQuery(adminUrl, "update limits set minute_at = minute_at - make_interval(mins => $2) where org_id = $1", [
        own.orgId,
        minutes,
      ]);
    const taken = (await counters())?.tokens ?? 0;
    expect(taken).toBeGreaterThan(0);
    await earlier(1); // as if a minute had passed
    const left = await remaining(own, "organization", "tokens_per_minute");
    expect(left).toBeLessThan(PLENTY);
    expect(left).toBeGreaterThanOrEqual(PLENTY - taken);
    await ok(say(own, second)); // the row is of this minute now
    expect(await counters()).toMatchObject({ past: taken, asked: 1, requests: 1 });
    await expect.poll(async () => (await counters())?.reserved, { timeout: 20_000 }).toBe(0);

    await adminQuery(adminUrl, "update limits set before_requests = 1000000 where org_id = $1", [own.orgId]);
    const { status, body } = await say(own, second);
    expect(status).toBe(429);
    expect(body.details).toMatchObject({ metric: "requests_per_minute", remaining: 0, needed: 1 });
    expect(body.details.retry_after_ms).toBeLessThanOrEqual(60_000);
    await earlier(2);
    await ok(say(own, second)); // that was long ago
    expect(await counters()).toMatchObject({ past: 0, asked: 0, requests: 1 });
  });

  it("are told by RateLimit-Policy and RateLimit where a message was taken, and by the refusal on a WebSocket (SEC-5)", async () => {
    const { own, its, thread } = await alone();
    const post = (content: string) =>
      fetch(`${own.url}/threads/${thread}/messages`, {
        method: "POST",
        headers: { authorization: `Bearer ${own.apiKey}`, "content-type": "application/json" },
        body: JSON.stringify({ content }),
      });
    const free = await post("hello");
    expect([free.status, free.headers.get("ratelimit-policy"), free.headers.get("ratelimit")]).toEqual([
      200,
      null,
      null,
    ]);
    await limit(own, "organization", own.orgId, { requests_per_minute: 1_000 });
    await limit(own, "agent", its, { tokens_per_month: PLENTY });
    const held = await post("hello");
    expect(held.headers.get("ratelimit-policy")).toMatch(
      /^"(organization-requests-per-minute";q=1000;qu="requests";w=60|agent-tokens-per-month";q=1000000;qu="tokens";w=\d+), "/,
    );
    expect(held.headers.get("ratelimit")).toMatch(/"organization-requests-per-minute";r=99[89];t=\d+/);
    const left = /"agent-tokens-per-month";r=(\d+);t=\d+/.exec(held.headers.get("ratelimit") ?? "")?.[1];
    expect(Number(left)).toBeLessThan(PLENTY - 100);

    await limit(own, "thread", thread, { tokens_per_minute: 1 });
    const client = openClient(own, thread);
    await client.until(() => client.state === "live");
    await expect(client.send("hello")).rejects.toMatchObject({
      refusal: { code: "resource_exhausted", reason: "quota_exceeded", retry_after_ms: null, details: { limit: 1 } },
    });
    await client.leave();
  });
});
