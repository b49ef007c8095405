import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { newOrganization, ok } from "../harness/organization";
import { agentInLetta, agentsInLetta, blocksInLetta, named, rest, tenantInLetta } from "./past-graphyn";

async function organizationWithAgents(count: number) {
  const org = await newOrganization();
  const lettaIds: string[] = [];
  for (let n = 0; n < count; n++) {
    const made = await ok(
      org.call<{ letta_id: string }>("POST", "/agents", { name: `Agent ${n}`, system_prompt: `You are ${n}.` }),
    );
    lettaIds.push(made.letta_id);
  }
  return { org, lettaIds, letta: await tenantInLetta(org.orgId) };
}

it("gives each organization its Letta organization, its user, and its identity on every agent and block (LET-1, SEC-1)", async () => {
  const [a, b] = await Promise.all([organizationWithAgents(2), organizationWithAgents(1)]);
  expect(new Set([a.letta.letta_org_id, b.letta.letta_org_id]).size).toBe(2);
  for (const { org, lettaIds, letta } of [a, b]) {
    expect(await named("orgs", org.orgId)).toEqual([expect.objectContaining({ id: letta.letta_org_id })]);
    expect(await named("users", org.orgId)).toEqual([
      expect.objectContaining({ id: letta.letta_user_id, organization_id: letta.letta_org_id }),
    ]);
    const key = `org_${org.orgId}`;
    const identities = await rest("GET", "/v1/identities/", letta.letta_user_id);
    expect(identities.body).toEqual([
      expect.objectContaining({ id: letta.identity_id, identifier_key: key, identity_type: "org" }),
    ]);
    const agents = await agentsInLetta(letta.letta_user_id);
    expect(agents.map((agent) => agent.id).sort()).toEqual([...lettaIds].sort());
    for (const agent of agents) expect(agent.identities.map((identity) => identity.identifier_key)).toEqual([key]);
    const ofIdentity = await rest<{ id: string }[]>(
      "GET",
      `/v1/blocks/?limit=100&identifier_keys=${key}`,
      letta.letta_user_id,
    );
    expect(ofIdentity.body).toHaveLength((await blocksInLetta(letta.letta_user_id)).length);
  }
});

it("lets another organization's Letta user see none of it: 404 (LET-1, SEC-1)", async () => {
  const [a, stranger] = await Promise.all([organizationWithAgents(1), organizationWithAgents(1)]);
  const [lettaId = ""] = a.lettaIds;
  expect((await agentInLetta(lettaId, a.letta.letta_user_id)).status).toBe(200);
  expect((await agentInLetta(lettaId, stranger.letta.letta_user_id)).status).toBe(404);
  expect((await agentInLetta(lettaId, `user-${randomUUID()}`)).status).toBe(404);
  expect((await rest("GET", `/v1/agents/${lettaId}`)).status).toBe(404);
  for (const block of await blocksInLetta(a.letta.letta_user_id)) {
    expect((await rest("GET", `/v1/blocks/${block.id}`, stranger.letta.letta_user_id)).status).toBe(404);
  }
  expect((await rest("DELETE", `/v1/agents/${lettaId}`, stranger.letta.letta_user_id)).status).toBe(404);
});

it("makes an organization's place in Letta once, however many need it at first (LET-1)", async () => {
  const org = await newOrganization();
  const answers = await Promise.all(Array.from({ length: 6 }, () => org.call("GET", "/letta/health")));
  expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 200, 200, 200]);
  expect(await named("orgs", org.orgId)).toHaveLength(1);
  expect(await named("users", org.orgId)).toHaveLength(1);
});
