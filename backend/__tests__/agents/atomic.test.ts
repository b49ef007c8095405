import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { newOrganization, ok, type TestOrganization } from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { startTcpProxy, type TcpProxy } from "../harness/tcp-proxy";
import { agentInLetta, agentsInLetta, blocksInLetta, rest, tenantInLetta } from "../letta/past-graphyn";
import { lettaUrl, until } from "../letta/stack";

const ADMIN_KEY = "atomic-test";
const AGENT = { name: "Ada", system_prompt: "You are Ada.", tools: ["memory_insert", "archival_memory_insert"] };

let database: TestDatabase;
let server: Server;
let proxy: TcpProxy;
let org: TestOrganization;
let lettaUser: string;
let identity: string;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

beforeEach(async () => {
  proxy = await startTcpProxy(lettaUrl());
  await start();
  org = await newOrganization({ ...inject("graphyn"), url: server.url, adminKey: ADMIN_KEY });
  await ok(org.call("GET", "/letta/health"));
  const tenant = await tenantInLetta(org.orgId, database.adminUrl);
  lettaUser = tenant.letta_user_id;
  identity = tenant.identity_id;
});
afterEach(async () => {
  await server.stop();
  await proxy.close();
});

async function start(port?: number): Promise<void> {
  server = await startServer({
    databaseUrl: database.url,
    adminKey: ADMIN_KEY,
    env: { LETTA_API_URL: proxy.url, GRAPHYN_RECONCILE_GRACE_SECONDS: "3" },
    ...(port === undefined ? {} : { port }),
  });
}

async function rows(): Promise<{ agents: number; versions: { state: string }[] }> {
  const [agents] = await adminQuery<{ n: number }>(
    database.adminUrl,
    "select count(*)::int as n from agents where org_id = $1",
    [org.orgId],
  );
  const versions = await adminQuery<{ state: string }>(
    database.adminUrl,
    "select state from agent_versions where org_id = $1",
    [org.orgId],
  );
  return { agents: agents?.n ?? -1, versions };
}

async function nothingIsLeft(): Promise<boolean> {
  const { agents, versions } = await rows();
  const archives = (await rest<unknown[]>("GET", "/v1/archives/?limit=50", lettaUser)).body;
  const inLetta = [await agentsInLetta(lettaUser), await blocksInLetta(lettaUser), archives];
  return agents === 0 && versions.length === 0 && inLetta.every((list) => list.length === 0);
}

// After the lists of models, of tools, and each block with its identity, come the agent, the archive and its attachment.
it.each([5, 10, 12])(
  "a process killed at request %i of making an agent leaves nothing on either side (LET-5)",
  async (fromRequest) => {
    proxy.requests = 0;
    proxy.fault = { kind: "swallow", fromRequest };
    const hopeless = org.call("POST", "/agents", AGENT).catch(() => null);
    await until(() => proxy.requests >= fromRequest);
    await new Promise((resolve) => setTimeout(resolve, 400)); // Letta does what it was asked; nobody hears of it
    expect((await rows()).versions).toEqual([{ state: "creating" }]);
    const port = Number(new URL(server.url).port);
    await server.stop("SIGKILL");
    await hopeless;
    proxy.fault = { kind: "none" };
    await start(port);
    await until(nothingIsLeft, 30_000);
    expect(await ok(org.call("GET", "/letta/health"))).toMatchObject({
      status: "ok",
      organization: { agents_here: 0, agents_in_letta: 0 },
    });
    expect(await ok(org.call("POST", "/agents", AGENT))).toMatchObject({ version: "0.1.0" });
  },
);

it("a next version that is killed half way leaves the agent, its memory and its versions as they were (LET-5)", async () => {
  const first = await ok(org.call<{ agent_id: string; letta_id: string }>("POST", "/agents", AGENT));
  const before = (await agentInLetta(first.letta_id, lettaUser)).body;
  proxy.requests = 0;
  proxy.fault = { kind: "swallow", fromRequest: 4 };
  const hopeless = org.call("POST", "/agents", { ...AGENT, agent_id: first.agent_id }).catch(() => null);
  await until(async () => (await agentsInLetta(lettaUser)).length === 2);
  const port = Number(new URL(server.url).port);
  await server.stop("SIGKILL");
  await hopeless;
  proxy.fault = { kind: "none" };
  await start(port);
  await until(
    async () => (await rows()).versions.length === 1 && (await agentsInLetta(lettaUser)).length === 1,
    30_000,
  );
  expect((await agentInLetta(first.letta_id, lettaUser)).body).toEqual(before);
  expect(await ok(org.call("POST", "/agents", { ...AGENT, agent_id: first.agent_id }))).toMatchObject({
    version: "0.2.0",
  });
});

it("Letta going away half way is told, and what it had made goes when it is back (LET-5, LET-7)", async () => {
  proxy.requests = 0;
  proxy.fault = { kind: "swallow", fromRequest: 9 };
  const refused = org.call("POST", "/agents", AGENT);
  await until(() => proxy.requests >= 9);
  await proxy.goDown();
  expect(await refused).toMatchObject({
    status: 503,
    body: { details: { reason: "agent_server_unavailable", retryable: true } },
  });
  expect((await rows()).versions).toEqual([{ state: "failed" }]);
  expect((await org.call("GET", "/agents")).body).toMatchObject({ agents: [] });
  proxy.fault = { kind: "none" };
  await proxy.comeBack();
  await until(nothingIsLeft, 30_000);
});

it("the reconciler removes what no version knows, and nothing else: not a stranger's agent, not another organization's (LET-5, SEC-1)", async () => {
  const other = await newOrganization({ ...inject("graphyn"), url: server.url, adminKey: ADMIN_KEY });
  const [mine, theirs] = await Promise.all([
    ok(org.call<{ id: string; agent_id: string; letta_id: string }>("POST", "/agents", AGENT)),
    ok(other.call<{ letta_id: string }>("POST", "/agents", AGENT)),
  ]);
  const otherUser = (await tenantInLetta(other.orgId, database.adminUrl)).letta_user_id;
  const plain = { agent_type: "letta_v1_agent", model: "openai-proxy/dev", include_base_tools: false };
  const make = async (more: object) =>
    (await rest<{ id: string }>("POST", "/v1/agents/", lettaUser, { ...plain, ...more })).body.id;
  // Made twice by a repeated request; left of a version that is not there; and three that are not ours to remove.
  const twin = await make({ name: "twin", identity_ids: [identity], tags: ["graphyn", `graphyn:${mine.id}`] });
  const orphan = await make({
    name: "orphan",
    identity_ids: [identity],
    tags: ["graphyn", "graphyn:agver_01hzzzzzzzzzzzzzzzzzzzzzzz"],
  });
  const untagged = await make({ name: "untagged", identity_ids: [identity] });
  const halfTagged = await make({
    name: "half",
    identity_ids: [identity],
    tags: ["graphyn:agver_01hzzzzzzzzzzzzzzzzzzzzzzz"],
  });
  const withoutIdentity = await make({
    name: "without",
    tags: ["graphyn", "graphyn:agver_01hzzzzzzzzzzzzzzzzzzzzzzz"],
  });

  await adminQuery(database.adminUrl, "update letta_tenants set reconciled_at = null where org_id = any($1)", [
    [org.orgId, other.orgId],
  ]);
  await until(async () => {
    const due = await adminQuery(database.adminUrl, "select from letta_tenants where reconciled_at is null");
    return due.length === 0;
  }, 30_000);
  const left = (await agentsInLetta(lettaUser)).map((agent) => agent.id);
  expect(left.sort()).toEqual([mine.letta_id, untagged, halfTagged, withoutIdentity].sort());
  expect(left).not.toContain(twin);
  expect(left).not.toContain(orphan);
  expect((await agentsInLetta(otherUser)).map((agent) => agent.id)).toEqual([theirs.letta_id]);
});
