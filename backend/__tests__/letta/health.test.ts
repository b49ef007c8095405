import { expect, inject, it } from "vitest";
import { newOrganization, ok, type Problem, request } from "../harness/organization";
import { rest, tenantInLetta } from "./past-graphyn";

interface Health {
  status: string;
  problem: string | null;
  server: { status: string; servers: Record<string, unknown>[] } | null;
  pool: Record<string, number> | null;
  organization: Record<string, unknown> | null;
}

const newAgent = async (org: Awaited<ReturnType<typeof newOrganization>>) =>
  ok(org.call<{ letta_id: string }>("POST", "/agents", { name: "Ada", system_prompt: "You are Ada." }));

it("reports that both sides have the caller's agents, and to the operator server and pool (LET-3, OBS-1)", async () => {
  const org = await newOrganization();
  await newAgent(org);
  const operator = { "x-admin-key": inject("graphyn").adminKey };
  const health = await ok(org.call<Health>("GET", "/letta/health", undefined, operator));
  expect(health).toMatchObject({
    status: "ok",
    problem: null,
    server: { status: "ok", servers: [{ name: "letta-1", version: "0.16.8", breaker: "closed" }] },
    pool: { waiting: 0, streams_max: expect.any(Number), calls_max: expect.any(Number) },
    organization: {
      organization_id: org.orgId,
      identifier_key: `org_${org.orgId}`,
      identity_present: true,
      agents_here: 1,
      agents_in_letta: 1,
      agents_equal: true,
      missing_in_letta: [],
      unknown_here: [],
    },
  });
});

it("tells nobody but the operator what all organizations together ask of Letta (LET-3, SEC-1)", async () => {
  const org = await newOrganization();
  const seen = await ok(org.call<Health>("GET", "/letta/health"));
  expect(seen).toMatchObject({ status: "ok", problem: null, server: null, pool: null });
  expect(seen.organization).toMatchObject({ organization_id: org.orgId });
  const guess = await org.call<Problem>("GET", "/letta/health", undefined, { "x-admin-key": "a guess" });
  expect([guess.status, guess.body.details.reason]).toEqual([403, "wrong_admin_key"]);
});

it("says which agent is missing in Letta, and what to do (LET-3)", async () => {
  const org = await newOrganization();
  const { letta_id } = await newAgent(org);
  const { letta_user_id } = await tenantInLetta(org.orgId);
  await rest("DELETE", `/v1/agents/${letta_id}`, letta_user_id);
  const health = await ok(org.call<Health>("GET", "/letta/health"));
  expect(health).toMatchObject({
    status: "degraded",
    organization: { agents_equal: false, missing_in_letta: [letta_id], unknown_here: [] },
  });
  expect(health.problem).toContain("POST /agents");
});

it("says when the identity is gone, and which agents Letta has beyond ours (LET-3)", async () => {
  const org = await newOrganization();
  await newAgent(org);
  const { letta_user_id, identity_id } = await tenantInLetta(org.orgId);
  const body = {
    name: "Stranger",
    agent_type: "letta_v1_agent",
    model: "openai-proxy/dev",
    include_base_tools: false,
    identity_ids: [identity_id],
  };
  const stranger = await rest<{ id: string }>("POST", "/v1/agents/", letta_user_id, body);
  expect(await ok(org.call<Health>("GET", "/letta/health"))).toMatchObject({
    status: "degraded",
    organization: { identity_present: true, agents_here: 1, agents_in_letta: 2, unknown_here: [stranger.body.id] },
  });
  await rest("DELETE", `/v1/identities/${identity_id}`, letta_user_id);
  expect(await ok(org.call<Health>("GET", "/letta/health"))).toMatchObject({
    status: "degraded",
    organization: { identity_present: false },
  });
});

it("shows nobody another organization, and nothing without a key (LET-3, SEC-1)", async () => {
  const [a, b] = await Promise.all([newOrganization(), newOrganization()]);
  await newAgent(a);
  const health = await ok(b.call<Health>("GET", "/letta/health"));
  expect(health.organization).toMatchObject({ organization_id: b.orgId, agents_here: 0, agents_in_letta: 0 });
  expect(JSON.stringify(health)).not.toContain(a.orgId);
  expect((await request(a.url, "GET", "/letta/health")).status).toBe(401);
});
