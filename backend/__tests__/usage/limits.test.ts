import { describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newAgent, newOrganization, newThread, ok, type Problem, through } from "../harness/organization";
import { startServer } from "../harness/server";
import { alone, answered, counted, keyOf, limit, limits, PLENTY, say } from "./spending";

const { adminUrl } = inject("graphyn");
const UNKNOWN = "01h455vb4pex5vsknk084sn02q";

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
});
