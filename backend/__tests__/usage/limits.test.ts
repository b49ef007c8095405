import { describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import {
  newAgent,
  newOrganization,
  newThread,
  ok,
  type Problem,
  type TestOrganization,
  through,
} from "../harness/organization";
import { startServer } from "../harness/server";
import { ofType, openStream, type Received, turnsEnded } from "../harness/stream";
import { openClient } from "../realtime/client";
import { counted, limit, limits, remaining, usage } from "./spending";

interface Posted {
  message: { id: string; seq: number };
  turns: { id: string }[];
}

const { adminUrl } = inject("graphyn");
const UNKNOWN = "01h455vb4pex5vsknk084sn02q";
/** More than any turn of these tests takes. */
const PLENTY = 1_000_000;

const say = (at: TestOrganization, thread: string, content = "hello", more: object = {}) =>
  at.call<Posted & Problem>("POST", `/threads/${thread}/messages`, { content, ...more });
const keyOf = async (at: TestOrganization) =>
  (await ok(at.call<{ api_keys: { id: string }[] }>("GET", "/api-keys"))).api_keys[0]?.id ?? "";

/** An organization with one agent in a thread, and what one of its turns takes. */
async function alone(model = "openai-proxy/dev-echo") {
  const own = await newOrganization();
  const its = await newAgent(own, "Echo", model);
  const thread = await newThread(own, [its]);
  return { own, its, thread };
}

async function answered(at: TestOrganization, thread: string, content = "hello"): Promise<Received[]> {
  const stream = await openStream(at, thread);
  await ok(say(at, thread, content));
  const received = await stream.until(turnsEnded(1));
  await stream.close();
  return received;
}

describe("limits", () => {
  it("are set, listed and taken away, each with what is left (SEC-5)", async () => {
    const { own, its, thread } = await alone();
    const key = await keyOf(own);
    const set = await limit(own, "organization", own.orgId, { tokens_per_month: PLENTY, requests_per_minute: 5 });
    expect(set).toMatchObject({
      scope: "organization",
      scope_id: own.orgId,
      tokens_per_month: PLENTY,
      requests_per_minute: 5,
      tokens_per_minute: null,
      set_by: own.userId,
    });
    expect(set.now).toMatchObject([
      { metric: "requests_per_minute", limit: 5, remaining: 5 },
      { metric: "tokens_per_month", limit: PLENTY, remaining: PLENTY },
    ]);
    for (const [scope, id] of [
      ["key", key],
      ["person", own.userId],
      ["agent", its],
      ["thread", thread],
    ] as const)
      await limit(own, scope, id, { tokens_per_minute: 7 });
    expect((await limits(own)).map(({ scope }) => scope)).toEqual(["agent", "key", "organization", "person", "thread"]);
    const page = await ok(own.call<{ limits: object[]; next_cursor: string }>("GET", "/limits?limit=2"));
    const rest = await ok(
      own.call<{ limits: object[]; next_cursor: null }>("GET", `/limits?cursor=${page.next_cursor}`),
    );
    expect([page.limits.length, rest.limits.length, rest.next_cursor]).toEqual([2, 3, null]);

    await limit(own, "organization", own.orgId, { cost_micros_per_month: 9 }); // what is left out limits no more
    expect((await limits(own))[2]).toMatchObject({ tokens_per_month: null, cost_micros_per_month: 9 });
    for (const { scope, scope_id } of await limits(own)) {
      expect(await ok(own.call("DELETE", `/limits/${scope}/${scope_id}`))).toMatchObject({ scope, deleted: true });
    }
    expect(await adminQuery(adminUrl, "select 1 from limits where org_id = $1", [own.orgId])).toEqual([]);
    expect((await own.call<Problem>("DELETE", `/limits/agent/${its}`)).body.details.reason).toBe("limit_not_found");
  });

  it("are on what the organization has, in whole amounts (SEC-1, SEC-5)", async () => {
    const { own, its } = await alone();
    const other = await newOrganization();
    const refused = async (path: string, body: object = { tokens_per_month: 1 }) =>
      (await own.call<Problem>("PUT", `/limits/${path}`, body)).body.details.reason;
    expect(await refused(`agent/agent_${UNKNOWN}`)).toBe("agent_not_found");
    expect(await refused(`thread/thread_${UNKNOWN}`)).toBe("thread_not_found");
    expect(await refused(`key/key_${UNKNOWN}`)).toBe("api_key_not_found");
    expect(await refused(`person/${other.userId}`)).toBe("person_not_found");
    expect(await refused(`organization/${other.orgId}`)).toBe("organization_not_found");
    expect(await refused(`planet/${its}`)).toBe("unknown_scope");
    for (const body of [{}, { tokens_per_month: -1 }, { tokens_per_month: 1.5 }])
      expect(await refused(`agent/${its}`, body)).toBe("bad_limit");
    expect(await limits(own)).toEqual([]);
  });

  it.each(["organization", "key", "person", "agent", "thread"])(
    "on tokens of a %s refuse what does not fit before anything is said, and touch nothing else (SEC-5)",
    async (scope) => {
      const { own, its, thread } = await alone();
      const id =
        { organization: own.orgId, key: await keyOf(own), person: own.userId, agent: its, thread }[scope] ?? "";
      await limit(own, scope, id, { tokens_per_month: 10 });
      const { status, body } = await say(own, thread);
      expect(status).toBe(429);
      expect(body).toMatchObject({
        code: "resource_exhausted",
        details: {
          reason: "quota_exceeded",
          policy: `${scope}-tokens-per-month`,
          scope,
          scope_id: id,
          metric: "tokens_per_month",
          limit: 10,
          remaining: 10,
          retry_after_ms: null, // it never fits
          context: { thread: { id: thread }, last_seq: 4 },
        },
      });
      expect(await adminQuery(adminUrl, "select 1 from turns where thread_id = $1", [thread])).toEqual([]);
      for (const { month_tokens, month_reserved } of await counted(adminUrl, own.orgId))
        expect([month_tokens, month_reserved]).toEqual([0, 0]);

      // Whom it does not hold for is free; for all of the organization that is nobody.
      const friend = await newAgent(own, "Friend", "openai-proxy/dev-echo");
      const elsewhere = await newThread(own, [scope === "agent" ? friend : its]);
      const isFree = scope === "agent" || scope === "thread";
      expect((await say(own, elsewhere)).status).toBe(isFree ? 200 : 429);
      await ok(own.call("DELETE", `/limits/${scope}/${id}`));
      expect((await say(own, thread)).status).toBe(200);
    },
  );

  it("set aside what a turn may take, and settle what it took, for everybody it counts for (SEC-5)", async () => {
    const { own, its, thread } = await alone();
    const ids = { organization: own.orgId, key: await keyOf(own), person: own.userId, agent: its, thread };
    for (const [scope, id] of Object.entries(ids)) await limit(own, scope, id, { tokens_per_month: PLENTY });
    const stream = await openStream(own, thread);
    await ok(say(own, thread, "!slow 1500\nhello"));
    const during = await counted(adminUrl, own.orgId);
    expect(during).toHaveLength(5);
    for (const { month_reserved, live } of during) {
      expect(month_reserved).toBeGreaterThan(500);
      expect(month_reserved).toBe(live);
    }
    const received = await stream.until(turnsEnded(1));
    await stream.close();
    const spent = ofType(received, "turn_completed")[0]?.usage?.total_tokens ?? 0;
    expect(spent).toBeGreaterThan(100);
    for (const { scope, month_reserved, month_tokens, ledger } of await counted(adminUrl, own.orgId)) {
      expect([month_reserved, month_tokens]).toEqual([0, ledger]);
      if (scope !== "organization") expect(ledger).toBe(spent); // which pays for embedding the messages, too
    }
    expect(await remaining(own, "thread", "tokens_per_month")).toBe(PLENTY - spent);
  });

  it("count what was spent before they were set, and what is under way (SEC-5)", async () => {
    const { own, its, thread } = await alone();
    const received = await answered(own, thread);
    const spent = ofType(received, "turn_completed")[0]?.usage?.total_tokens ?? 0;
    await limit(own, "organization", own.orgId, { tokens_per_month: PLENTY });
    const left = (await remaining(own, "organization", "tokens_per_month")) ?? 0;
    expect(left).toBeLessThanOrEqual(PLENTY - spent);
    expect(left).toBeGreaterThan(PLENTY - spent - 50); // messages may be embedded already
    const stream = await openStream(own, thread);
    await ok(say(own, thread, "!slow 1500\nhello"));
    await limit(own, "agent", its, { tokens_per_month: PLENTY });
    const [byAgent, all] = await counted(adminUrl, own.orgId);
    expect(byAgent).toMatchObject({ month_reserved: all?.month_reserved, live: all?.live });
    expect([byAgent?.month_tokens, byAgent?.ledger]).toEqual([spent, spent]);
    await stream.until(turnsEnded(1));
    await stream.close();
    for (const { month_reserved, month_tokens, ledger } of await counted(adminUrl, own.orgId)) {
      expect(month_reserved).toBe(0);
      expect(month_tokens).toBe(ledger);
      expect(ledger).toBeGreaterThan(spent);
    }
  });

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

  it("stop an answer that outgrows them: its text is kept, the log says why, and the agent goes on from it (SEC-5)", async () => {
    const { own, its, thread } = await alone("openai-proxy/dev-long-5000");
    const first = await answered(own, thread, "!say short");
    const spent = ofType(first, "turn_completed")[0]?.usage?.total_tokens ?? 0;
    const budget = spent * 2 + 2_000;
    await limit(own, "agent", its, { tokens_per_month: budget });
    const stream = await openStream(own, thread);
    await ok(say(own, thread, "count"));
    const received = await stream.until(turnsEnded(1));
    const [cancelled] = ofType(received, "turn_cancelled");
    const text = ofType(received, "message").find(({ message }) => message.turn_id === cancelled?.turn_id)?.message;
    expect(cancelled).toMatchObject({
      reason: "budget_spent",
      limit: { scope: "agent", scope_id: its, metric: "tokens_per_month" },
      cancelled_by: null,
      message_id: text?.id,
    });
    expect(text?.status).toBe("cancelled");
    const chunks = ofType(received, "ai_chunk").filter(({ turn_id }) => turn_id === cancelled?.turn_id);
    expect(text?.content).toBe(chunks.map(({ content }) => content).join(""));
    expect(text?.content).toMatch(/^1 2 3 /);
    expect(text?.content.length).toBeGreaterThan(1_000);
    const [count] = await counted(adminUrl, own.orgId);
    expect(count?.month_reserved).toBe(0);
    expect(count?.month_tokens).toBe(count?.ledger);
    expect(count?.month_tokens).toBeLessThanOrEqual(budget);
    expect(count?.month_tokens).toBeGreaterThan(budget - 600);
    expect((await say(own, thread)).body.details).toMatchObject({ reason: "quota_exceeded", scope: "agent" });

    await limit(own, "agent", its, { tokens_per_month: PLENTY });
    await ok(say(own, thread, "!say on we go"));
    const after = await stream.until(turnsEnded(2));
    await stream.close();
    expect(ofType(after, "message").at(-1)?.message.content).toBe("on we go");
  });

  it("let an answer be kept whose agent would hand the word on, and say why that one is not asked (SEC-5, AGT-1)", async () => {
    const own = await newOrganization();
    const asking = await newAgent(own, "Ping", "openai-proxy/dev", "You are Ping. Ask @Pong next.");
    const asked = await newAgent(own, "Pong");
    const body = { agents: [asking, asked], turn_policy: "mentioned" };
    const thread = (await ok(own.call<{ thread: { id: string } }>("POST", "/threads", body))).thread.id;
    await limit(own, "agent", asked, { tokens_per_month: 1 });
    const stream = await openStream(own, thread);
    await ok(say(own, thread, "How do we begin?", { mentions: [asking] }));
    const received = await stream.until((all) => ofType(all, "message").some(({ message }) => message.reason !== null));
    await stream.close();
    const [answer, why] = ofType(received, "message").slice(-2);
    expect(answer?.message).toMatchObject({ sender_id: asking, status: "complete", mentions: [asked] });
    expect(why?.message).toMatchObject({ sender_type: "system", reason: "budget_spent" });
    expect(why?.message.content).toContain("Pong");
    expect(ofType(received, "turn_started")).toHaveLength(1);
  });

  it("of a key are not escaped by rotating it: the old and the new key share them (SEC-4, SEC-5)", async () => {
    const { own, thread } = await alone();
    const key = await keyOf(own);
    await limit(own, "key", key, { tokens_per_month: PLENTY });
    const made = await ok(own.call<{ id: string; api_key: string }>("POST", `/api-keys/${key}/rotate`, {}));
    const rotated = through({ ...own, apiKey: made.api_key }, own.url);
    await answered(rotated, thread);
    await answered(own, thread);
    const spent = await adminQuery<{ key_id: string; tokens: number }>(
      adminUrl,
      "select key_id, (prompt_tokens + completion_tokens)::int as tokens from usage_entries where thread_id = $1 order by created_at",
      [thread],
    );
    expect(spent.map(({ key_id }) => key_id)).toEqual([made.id, key]);
    const tokens = spent.reduce((all, one) => all + one.tokens, 0);
    expect(await remaining(own, "key", "tokens_per_month")).toBe(PLENTY - tokens);
    await limit(own, "key", key, { tokens_per_month: tokens });
    for (const at of [own, rotated])
      expect((await say(at, thread)).body.details).toMatchObject({
        reason: "quota_exceeded",
        scope: "key",
        scope_id: key,
      });
  });

  it("are given to a key when it is made, hold from its first request, and are kept by rotation (SEC-4, SEC-5)", async () => {
    const { own, thread } = await alone();
    const make = (amounts: object) =>
      own.call<{ id: string; api_key: string } & Problem>("POST", "/api-keys", { name: "held", limits: amounts });
    for (const none of [{}, { tokens_per_month: -1 }, { tokens_per_month: 0.5 }])
      expect((await make(none)).body.details.reason).toBe("bad_limit");
    expect(await limits(own)).toEqual([]);

    const made = await ok(make({ tokens_per_month: 10 }));
    const none = { tokens_per_minute: null, requests_per_minute: null, cost_micros_per_month: null };
    expect(made).toMatchObject({ limits: { ...none, tokens_per_month: 10 } });
    expect((await limits(own)).find(({ scope }) => scope === "key")).toMatchObject({
      scope_id: made.id,
      tokens_per_month: 10,
      set_by: own.userId,
    });
    const held = through({ ...own, apiKey: made.api_key }, own.url);
    const refused = { reason: "quota_exceeded", scope: "key", scope_id: made.id, limit: 10, remaining: 10 };
    expect((await say(held, thread)).body.details).toMatchObject(refused);
    const next = await ok(held.call<{ api_key: string }>("POST", `/api-keys/${made.id}/rotate`, {}));
    expect((await say(through({ ...own, apiKey: next.api_key }, own.url), thread)).body.details).toMatchObject(refused);
    expect((await say(own, thread)).status).toBe(200); // any other key
    const { entries } = await ok(own.call<{ entries: object[] }>("GET", `/audit?target=${made.id}`));
    expect(entries).toMatchObject([
      { action: "key.rotated" },
      { action: "limit.set", change: { tokens_per_month: 10 } },
      { action: "key.created" },
    ]);
  });

  it("of a key are not escaped by making another with it, nor by taking another's place (SEC-4, SEC-5)", async () => {
    const { own, thread } = await alone();
    const make = (by: TestOrganization, more: object = {}) =>
      ok(by.call<{ id: string; api_key: string }>("POST", "/api-keys", { name: "a key", ...more }));
    const as = ({ api_key }: { api_key: string }) => through({ ...own, apiKey: api_key }, own.url);
    const before = await make(own);
    const held = await make(own, { limits: { tokens_per_month: PLENTY } });
    const child = await make(as(held));
    const grandchild = await make(as(child), { limits: { tokens_per_month: PLENTY } });
    const taken = await ok(as(held).call<{ api_key: string }>("POST", `/api-keys/${before.id}/rotate`, {}));
    await answered(as(grandchild), thread);
    await answered(as(taken), thread);
    const spent = await adminQuery<{ tokens: number }>(
      adminUrl,
      "select (prompt_tokens + completion_tokens)::int as tokens from usage_entries where thread_id = $1 order by created_at",
      [thread],
    );
    const left = (await limits(own)).flatMap(({ scope_id, now }) => now.map((use) => [scope_id, use.remaining]));
    const [first = 0, second = 0] = spent.map(({ tokens }) => tokens);
    expect(Object.fromEntries(left)).toEqual({ [held.id]: PLENTY - first - second, [grandchild.id]: PLENTY - first });
    await limit(own, "key", held.id, { tokens_per_month: first + second });
    for (const key of [child, grandchild, taken])
      expect((await say(as(key), thread)).body.details).toMatchObject({ reason: "quota_exceeded", scope_id: held.id });
    expect((await say(as(before), thread)).status).toBe(200); // it was made by one that is free
  });

  it("of the operator hold for every organization, whatever it allows itself (SEC-5)", async () => {
    const { databaseUrl, adminKey } = inject("graphyn");
    const env = { GRAPHYN_ORG_LIMITS: JSON.stringify({ tokens_per_month: 20, requests_per_minute: 1_000 }) };
    const held = await startServer({ databaseUrl, adminKey, env });
    try {
      const { own, thread } = await alone();
      await answered(own, thread); // elsewhere: it counts
      const at = through(own, held.url);
      const { status, body } = await say(at, thread);
      expect(status).toBe(429);
      expect(body.details).toMatchObject({ scope: "organization", scope_id: own.orgId, limit: 20, remaining: 0 });
      await limit(at, "organization", own.orgId, { tokens_per_month: PLENTY });
      expect((await say(at, thread)).body.details).toMatchObject({ metric: "tokens_per_month", limit: 20 });
      const [view] = await limits(at);
      expect(view).toMatchObject({ tokens_per_month: PLENTY, requests_per_minute: null });
      expect(view?.now.map(({ metric, limit: amount }) => [metric, amount])).toEqual([
        ["requests_per_minute", 1_000],
        ["tokens_per_month", 20],
      ]);
      expect((await say(own, thread)).status).toBe(200); // where the operator says nothing
    } finally {
      await held.stop();
    }
  });

  it("leave nothing set aside when turns are cancelled, fail, are joined, or go with their thread (SEC-5)", async () => {
    const { own, its } = await alone("openai-proxy/dev-n600-r20");
    const failing = await newAgent(own, "Failing", "openai-proxy/dev-error-401");
    await limit(own, "organization", own.orgId, { tokens_per_month: PLENTY });
    const [stopped, gone, bad] = [
      await newThread(own, [its]),
      await newThread(own, [its]),
      await newThread(own, [failing]),
    ];
    const stream = await openStream(own, stopped);
    await ok(say(own, stopped));
    await ok(say(own, stopped, "and one that waits"));
    await ok(say(own, gone));
    await ok(say(own, bad));
    await stream.until((received) => ofType(received, "ai_chunk").length > 3);
    await ok(own.call("POST", `/threads/${stopped}/cancel`));
    await ok(own.call("DELETE", `/threads/${gone}?purge=true`));
    await expect
      .poll(() => adminQuery(adminUrl, "select 1 from turns where org_id = $1 and ended_at is null", [own.orgId]), {
        timeout: 20_000,
      })
      .toEqual([]);
    await stream.close();
    const [all] = await counted(adminUrl, own.orgId);
    expect(all).toMatchObject({ month_reserved: 0, month_tokens: all?.ledger });
    expect((await usage(own)).total).toMatchObject({ turns: 4, cancelled_turns: 3, failed_turns: 1 });
  });
});
