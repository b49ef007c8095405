import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, ok, type Problem } from "../harness/organization";
import { type Gateway, newProvider, startGateway } from "./gateway";

const KEY = "sk-canary-0123456789";
const UPSTREAMS = (base_url: string) => [
  { name: "theirs", base_url, key_secret: "nobody-has-it", models: ["only-with-a-key"], embeddings: false },
  { name: "ours", base_url, models: ["for-everyone", "gpt-5-x"] },
];
let gateway: Gateway;
let provider: Awaited<ReturnType<typeof newProvider>>;

beforeAll(async () => {
  provider = await newProvider((_req, resp) => {
    resp.writeHead(200, { "content-type": "application/json" });
    resp.end(JSON.stringify({ choices: [{ message: { content: "yes" }, finish_reason: "stop" }] }));
  });
  gateway = await startGateway(UPSTREAMS(provider.url), { ModelUpstreamKeys: '{"ours":"operator-key"}' });
});
afterAll(async () => {
  await gateway?.server.stop();
  await provider?.close();
});

interface Models {
  models: { model: string; upstreams: string[]; own_key: boolean }[];
}

describe("an organization's own key (SEC-1)", () => {
  it("is stored so that the database does not have it, and is never shown", async () => {
    const { org } = gateway;
    const set = await ok(org.call("PUT", "/models/credentials/theirs", { api_key: KEY }));
    expect(set).toMatchObject({ upstream: "theirs", last_four: "6789", updated_by: org.userId });
    const read = await ok(org.call("GET", "/models/credentials/theirs"));
    expect(read).toEqual(set);
    expect(JSON.stringify([set, read])).not.toContain("canary");
    const rows = await adminQuery<{ text: string; sealed: Buffer }>(
      inject("graphyn").adminUrl,
      "select c::text as text, sealed from model_credentials c where org_id = $1",
      [org.orgId],
    );
    expect(rows).toHaveLength(1);
    expect(rows[0]?.text).not.toContain("canary");
    expect(rows[0]?.text).not.toContain(Buffer.from("canary").toString("hex"));
    expect(rows[0]?.sealed.length).toBe(1 + 12 + 16 + KEY.length);
    expect(gateway.server.output()).not.toContain("canary");
  });

  it("opens the models of its upstream to that organization alone", async () => {
    const mine = await ok(gateway.org.call<Models>("GET", "/models"));
    expect(mine.models).toEqual([
      { model: "openai-proxy/only-with-a-key", upstreams: ["theirs"], own_key: true },
      { model: "openai-proxy/for-everyone", upstreams: ["ours"], own_key: false },
      { model: "openai-proxy/ours/gpt-5-x", upstreams: ["ours"], own_key: false },
    ]);
    const other = await newOrganization({ ...inject("graphyn"), url: gateway.url });
    const theirs = await ok(other.call<Models>("GET", "/models"));
    expect(theirs.models.map(({ model }) => model)).not.toContain("openai-proxy/only-with-a-key");
    expect((await other.call("GET", "/models/credentials/theirs")).status).toBe(404);
    expect((await other.call("DELETE", "/models/credentials/theirs")).status).toBe(404);
    expect((await gateway.org.call("GET", "/models/credentials/theirs")).status).toBe(200);
  });

  it("is what its upstream is asked with, and nobody else's is", async () => {
    const keyFor = async (model: string) => {
      expect((await gateway.ask({ model })).status).toBe(200);
      return provider.seen.at(-1)?.headers.authorization;
    };
    expect(await keyFor("only-with-a-key")).toBe(`Bearer ${KEY}`);
    expect(await keyFor("for-everyone")).toBe("Bearer operator-key");
    expect(await keyFor("ours/gpt-5-x")).toBe("Bearer operator-key");
    await ok(gateway.org.call("PUT", "/models/credentials/ours", { api_key: `${KEY}-ours` }));
    expect(await keyFor("for-everyone")).toBe(`Bearer ${KEY}-ours`);
    await ok(gateway.org.call("DELETE", "/models/credentials/ours"));
    expect(await keyFor("for-everyone")).toBe("Bearer operator-key");
  });

  it("is what embeddings of its agents and messages are asked with, and they are accounted to it (SEC-1, OBS-1)", async () => {
    const { org, user, key, url } = gateway;
    const embed = async (of: string) => {
      const response = await fetch(`${url}/internal/models/v1${of}/embeddings`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}` },
        body: JSON.stringify({ model: "text-embedding-3-small", input: ["twelve chars"] }),
      });
      return { status: response.status, key: provider.seen.at(-1)?.headers.authorization };
    };
    const accounted = () =>
      adminQuery(
        inject("graphyn").adminUrl,
        `select upstream, model, prompt_tokens, completion_tokens, estimated from model_calls
          where org_id = $1 and purpose = 'embedding' order by created_at`,
        [org.orgId],
      );
    expect(await embed(`/of/${user}`)).toEqual({ status: 200, key: "Bearer operator-key" });
    await ok(org.call("PUT", "/models/credentials/ours", { api_key: `${KEY}-ours` }));
    expect(await embed(`/of/${user}`)).toEqual({ status: 200, key: `Bearer ${KEY}-ours` });
    expect(await embed("")).toEqual({ status: 200, key: "Bearer operator-key" });
    await ok(org.call("DELETE", "/models/credentials/ours"));
    expect((await embed("/of/user-00000000-0000-4000-8000-000000000000")).status).toBe(403);
    const call = { upstream: "ours", model: "text-embedding-3-small", completion_tokens: 0 };
    await expect.poll(accounted).toEqual([
      { ...call, prompt_tokens: 4, estimated: true },
      { ...call, prompt_tokens: 4, estimated: true },
    ]);
  });

  it("that cannot be opened any more is not replaced by the operator's", async () => {
    const changed = { OrgSecretsKey: "another", ModelUpstreamKeys: '{"nobody-has-it":"operator-key"}' };
    const other = await startGateway(UPSTREAMS(provider.url), changed, gateway.org);
    try {
      const before = provider.seen.length;
      expect((await other.ask({ model: "only-with-a-key" })).status).toBe(401);
      expect((await other.ask({ model: "for-everyone" })).status).toBe(200);
      expect(provider.seen.length).toBe(before + 1);
      expect(other.server.output()).toContain("cannot be opened");
    } finally {
      await other.server.stop();
    }
  });

  it("is set for an upstream that exists, as a key, and can be removed", async () => {
    const { org } = gateway;
    const reason = async (path: string, api_key: string) =>
      (await org.call<Problem>("PUT", path, { api_key })).body.details?.reason;
    expect(await reason("/models/credentials/none", KEY)).toBe("unknown_upstream");
    expect(await reason("/models/credentials/ours", "two words")).toBe("bad_model_key");
    await ok(org.call("PUT", "/models/credentials/ours", { api_key: KEY }));
    expect(await ok(org.call("DELETE", "/models/credentials/ours"))).toEqual({ upstream: "ours", deleted: true });
    expect((await org.call<Problem>("DELETE", "/models/credentials/ours")).body.details.reason).toBe(
      "model_credential_not_found",
    );
  });
});
