import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { newOrganization, ok } from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { startTcpProxy, type TcpProxy } from "../harness/tcp-proxy";
import { named, rest, tenantInLetta } from "./past-graphyn";
import { lettaUrl, newLetta, newTenant, until } from "./stack";

const ADMIN_KEY = "provisioning-test";
/** Letta is asked twice whether it has a wall, then for: organization, user, the identity that may be there, identity, tools. */
const WALL_REQUESTS = 2;
const REQUESTS = 5;

let database: TestDatabase;
let server: Server | undefined;
let proxy: TcpProxy;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(async () => {
  await server?.stop();
  await database.drop();
});

async function start(): Promise<Server> {
  server = await startServer({ databaseUrl: database.url, adminKey: ADMIN_KEY, env: { LETTA_API_URL: proxy.url } });
  return server;
}

it.each(Array.from({ length: REQUESTS }, (_, n) => n + 1))(
  "adopts what a process left that was killed when it had asked Letta for the %i. thing (LET-1, LET-5)",
  async (thing) => {
    const fromRequest = WALL_REQUESTS + thing;
    proxy = await startTcpProxy(lettaUrl());
    const first = await start();
    const org = await newOrganization(
      { ...inject("graphyn"), url: first.url, adminKey: ADMIN_KEY },
      `Killed at ${thing}`,
    );
    proxy.requests = 0;
    proxy.fault = { kind: "swallow", fromRequest };
    // Provisioned by its first agent: the health report would look at Letta first.
    const hopeless = org.call("POST", "/agents", { name: "Ada", system_prompt: "You are Ada." }).catch(() => null);
    await until(() => proxy.requests >= fromRequest);
    await new Promise((resolve) => setTimeout(resolve, 300)); // Letta does what it was asked; nobody hears of it
    await first.stop("SIGKILL");
    await hopeless;
    // Time passes: the dead process's lease runs out.
    await adminQuery(database.adminUrl, "update letta_tenants set lease_until = now() where org_id = $1", [org.orgId]);

    proxy.fault = { kind: "none" };
    const second = await start();
    const again = { ...org, url: second.url };
    const response = await fetch(`${again.url}/letta/health`, { headers: { authorization: `Bearer ${org.apiKey}` } });
    expect(await response.json()).toMatchObject({
      status: "ok",
      organization: { identity_present: true, agents_equal: true },
    });
    expect(await named("orgs", org.orgId)).toHaveLength(1);
    expect(await named("users", org.orgId)).toHaveLength(1);
    const { letta_user_id } = await tenantInLetta(org.orgId, database.adminUrl);
    expect((await rest<unknown[]>("GET", "/v1/identities/", letta_user_id)).body).toHaveLength(1);
    await second.stop();
    await proxy.close();
  },
);

it("tells a caller plainly while Letta is away, and works as soon as it is back (LET-2, LET-3)", async () => {
  proxy = await startTcpProxy(lettaUrl());
  const running = await start();
  const org = await newOrganization({ ...inject("graphyn"), url: running.url, adminKey: ADMIN_KEY });
  await proxy.goDown();
  const refused = await org.call("POST", "/agents", { name: "Ada", system_prompt: "You are Ada." });
  expect(refused).toMatchObject({
    status: 503,
    body: {
      code: "unavailable",
      details: { reason: "agent_server_unavailable", retryable: true, hint: expect.stringContaining("/letta/health") },
    },
  });
  expect(await ok(org.call("GET", "/letta/health"))).toMatchObject({ status: "unavailable", organization: null });
  await proxy.comeBack();
  await until(
    async () => (await org.call("POST", "/agents", { name: "Ada", system_prompt: "You are Ada." })).status === 200,
  );
  expect(await ok(org.call("GET", "/letta/health"))).toMatchObject({
    status: "ok",
    organization: { agents_here: 1, agents_in_letta: 1 },
  });
  await running.stop();
  await proxy.close();
});

it("uses no Letta that takes strangers for its default user (LET-1, SEC-1)", async () => {
  proxy = await startTcpProxy(lettaUrl());
  // What Letta does by itself without LETTA_NO_DEFAULT_ACTOR, and what a header lost on the way would then come to.
  const direct = newLetta();
  const everybody = await newTenant(direct);
  await direct.close();
  proxy.fault = { kind: "rewrite", from: /user_id: user-[0-9a-f-]{36}/, to: `user_id: ${everybody.lettaUserId}` };
  const running = await start();
  const org = await newOrganization({ ...inject("graphyn"), url: running.url, adminKey: ADMIN_KEY });
  const refused = await org.call("POST", "/agents", { name: "Ada", system_prompt: "You are Ada." });
  expect(refused).toMatchObject({
    status: 400,
    body: { details: { reason: "agent_server_no_wall", retryable: false } },
  });
  const health = await ok(org.call<{ problem: string }>("GET", "/letta/health"));
  expect(health).toMatchObject({
    status: "unavailable",
    problem: expect.stringContaining("LETTA_NO_DEFAULT_ACTOR=true"),
  });
  expect(await named("orgs", org.orgId)).toEqual([]);
  proxy.fault = { kind: "none" };
  expect(await ok(org.call("GET", "/letta/health"))).toMatchObject({ status: "ok" });
  await running.stop();
  await proxy.close();
});
