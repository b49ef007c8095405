import { createHash } from "node:crypto";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { hashKey, newKey, parseKey } from "../../organizations/key-format";
import { adminQuery } from "../harness/database";
import { newOrganization, ok, type Problem, request, type TestOrganization } from "../harness/organization";

interface Made {
  id: string;
  api_key: string;
  expires_at: string;
}

describe("API keys", () => {
  let org: TestOrganization;
  beforeAll(async () => {
    org = await newOrganization();
  });
  const me = (key: string, header = "authorization") =>
    request<Problem>(org.url, "GET", "/people", undefined, {
      [header]: header === "authorization" ? `Bearer ${key}` : key,
    });

  it("are shown once, and stored as a keyed hash only (SEC-4)", async () => {
    const made = await ok(org.call<Made>("POST", "/api-keys", { name: "ci" }));
    expect(made.api_key).toMatch(/^gk_/);
    expect((await me(made.api_key)).status).toBe(200);
    expect((await me(made.api_key, "x-api-key")).status).toBe(200);
    const list = JSON.stringify(await ok(org.call("GET", "/api-keys")));
    expect(list).toContain(made.id);
    expect(list).not.toContain(made.api_key);
    const [row] = await adminQuery<Record<string, unknown>>(
      inject("graphyn").adminUrl,
      "select * from api_keys where id = $1",
      [made.id],
    );
    const stored = JSON.stringify(row);
    expect(stored).not.toContain(made.api_key);
    expect(row?.hash).not.toEqual(createHash("sha256").update(made.api_key).digest());
  });

  it("expire by themselves (SEC-4)", async () => {
    const made = await ok(org.call<Made>("POST", "/api-keys", { name: "short", days: 1 }));
    const daysOf = ({ expires_at }: Made) => (Date.parse(expires_at) - Date.now()) / 86_400_000;
    expect(daysOf(made)).toBeCloseTo(1, 1);
    expect(daysOf(await ok(org.call<Made>("POST", "/api-keys", { name: "forgotten" })))).toBeCloseTo(90, 1);
    await adminQuery(
      inject("graphyn").adminUrl,
      "update api_keys set expires_at = now() - interval '1 second' where id = $1",
      [made.id],
    );
    expect((await me(made.api_key)).status).toBe(401);
  });

  it("are asked for once when unknown, then refused from memory for a moment (SEC-4)", async () => {
    const made = await ok(org.call<Made>("POST", "/api-keys", { name: "found later" }));
    const unknown = newKey(org.orgId);
    expect((await me(unknown)).status).toBe(401);
    await adminQuery(inject("graphyn").adminUrl, "update api_keys set hash = $2 where id = $1", [
      made.id,
      hashKey(unknown, "test-hash-key"),
    ]);
    expect((await me(unknown)).status).toBe(401);
    await expect.poll(async () => (await me(unknown)).status, { timeout: 10_000, interval: 250 }).toBe(200);
  });

  it("can be revoked, and stop working within five seconds (SEC-4)", async () => {
    const made = await ok(org.call<Made>("POST", "/api-keys", { name: "leaked" }));
    expect((await me(made.api_key)).status).toBe(200);
    await ok(org.call("DELETE", `/api-keys/${made.id}`));
    await expect.poll(async () => (await me(made.api_key)).status, { timeout: 6_000, interval: 250 }).toBe(401);
    expect((await org.call("DELETE", `/api-keys/${made.id}`)).status).toBe(200);
  });

  it("answer the same whatever is wrong with them (SEC-4)", async () => {
    const unknown = newKey(org.orgId);
    const answers = [];
    for (const key of [
      "",
      "gk_nonsense",
      `${org.apiKey.slice(0, -1)}${org.apiKey.endsWith("0") ? "1" : "0"}`,
      unknown,
      newKey("org_01h455vb4pex5vsknk084sn02q"),
    ]) {
      answers.push(await me(key));
    }
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
  });

  it("carry a checksum, so that a typo is told without asking the database (SEC-4)", () => {
    const key = newKey(org.orgId);
    expect(parseKey(key)).toEqual({ orgId: org.orgId, key });
    for (let at = 0; at < key.length; at++) {
      const typo = key.slice(0, at) + (key[at] === "a" ? "b" : "a") + key.slice(at + 1);
      expect(parseKey(typo)).toBeNull();
    }
  });

  it("are made by owners and admins only, and organizations only with the server's admin key (SEC-4)", async () => {
    const wrong = await request<Problem>(
      org.url,
      "POST",
      "/organizations",
      { name: "x", owner_name: "x" },
      { "x-admin-key": "guess" },
    );
    expect(wrong.status).toBe(403);
    expect(wrong.body.details.reason).toBe("wrong_admin_key");
  });
});
