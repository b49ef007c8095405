import { describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, ok, type Problem, type TestOrganization, through } from "../harness/organization";
import { alone, answered, keyOf, limit, limits, PLENTY, remaining, say } from "./spending";

const { adminUrl } = inject("graphyn");

describe("limits", () => {
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

  it("of a key are not escaped by asking in a guest with it (SEC-4, SEC-5)", async () => {
    const [{ own, thread }, home] = [await alone(), await newOrganization()];
    const held = await ok(
      own.call<{ id: string; api_key: string }>("POST", "/api-keys", {
        name: "held",
        limits: { tokens_per_month: PLENTY },
      }),
    );
    const guestOf = async (host: TestOrganization) => {
      const { token } = await ok(host.call<{ token: string }>("POST", `/threads/${thread}/invitations`, {}));
      const { api_key } = await ok(home.call<{ api_key: string }>("POST", "/invitations/accept", { token }));
      return through({ ...own, apiKey: api_key }, own.url);
    };
    const guest = await guestOf(through({ ...own, apiKey: held.api_key }, own.url));
    await answered(guest, thread);
    const [use] = (await limits(own)).filter(({ scope_id }) => scope_id === held.id);
    expect(use?.now[0]?.remaining).toBeLessThan(PLENTY);
    await limit(own, "key", held.id, { tokens_per_month: 1 });
    expect((await say(guest, thread)).body.details).toMatchObject({ reason: "quota_exceeded", scope_id: held.id });
    expect((await say(await guestOf(own), thread)).status).toBe(200); // asked in by one that is free
  });
});
