import { describe, expect, it } from "vitest";
import type { Agent, AgentVersion } from "../../agents/agent";
import { newOrganization, ok, type TestOrganization } from "../harness/organization";
import { agentInLetta, agentsInLetta, rest, tenantInLetta } from "../letta/past-graphyn";

const create = (org: TestOrganization, more: object = {}) =>
  org.call<AgentVersion & { code: string; details: Record<string, unknown> }>("POST", "/agents", {
    name: "Ada",
    system_prompt: "You are Ada.",
    ...more,
  });

describe("POST /agents", () => {
  it("makes the agent in Letta and stores version 0.1.0 with letta_id, prompt, tools and creator (LET-5)", async () => {
    const org = await newOrganization();
    const version = await ok(
      create(org, { name: "Ada: the “first”", tools: ["conversation_search"], model: "openai-proxy/dev-echo" }),
    );
    expect(version).toEqual({
      id: expect.stringMatching(/^agver_/),
      agent_id: expect.stringMatching(/^agent_/),
      version: "0.1.0",
      letta_id: expect.stringMatching(/^agent-/),
      organization_id: org.orgId,
      name: "Ada: the “first”",
      system_prompt: "You are Ada.",
      tools: ["conversation_search"],
      model: "openai-proxy/dev-echo",
      created_by: org.userId,
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    const { letta_user_id } = await tenantInLetta(org.orgId);
    const { body } = await agentInLetta(version.letta_id ?? "", letta_user_id);
    expect(body).toMatchObject({ name: "Ada the first", system: "You are Ada." });
    expect(body.tools.map((tool) => tool.name)).toEqual(["conversation_search"]);
    expect(body.identities.map((identity) => identity.identifier_key)).toEqual([`org_${org.orgId}`]);
    expect(body.tags).toEqual(
      expect.arrayContaining(["graphyn", `graphyn:${version.id}`, `graphyn:${version.agent_id}`]),
    );
  });

  it("makes the next version with the same memory, and counts as it is told (LET-5)", async () => {
    const org = await newOrganization();
    const first = await ok(create(org));
    const versions = [first];
    for (const bump of [undefined, "patch", "major"]) {
      versions.push(
        await ok(
          create(org, {
            agent_id: first.agent_id,
            name: "Ada II",
            system_prompt: `Now ${bump}.`,
            ...(bump ? { bump } : {}),
          }),
        ),
      );
    }
    expect(versions.map((version) => version.version)).toEqual(["0.1.0", "0.2.0", "0.2.1", "1.0.0"]);
    expect(new Set(versions.map((version) => version.agent_id)).size).toBe(1);
    expect(new Set(versions.map((version) => version.letta_id)).size).toBe(4);
    const { letta_user_id } = await tenantInLetta(org.orgId);
    const memories = await Promise.all(
      versions.map(async (version) =>
        (await agentInLetta(version.letta_id ?? "", letta_user_id)).body.blocks.map((block) => block.id).sort(),
      ),
    );
    expect(memories[0]).toHaveLength(3);
    for (const memory of memories) expect(memory).toEqual(memories[0]);
    const agent = await ok(org.call<Agent>("GET", `/agents/${first.agent_id}`));
    expect(agent).toMatchObject({ name: "Ada II", current_version: { version: "1.0.0", system_prompt: "Now major." } });
  });

  it("gives versions made at the same moment different numbers, and the newest is the current one (LET-5)", async () => {
    const org = await newOrganization();
    const { agent_id } = await ok(create(org));
    const made = await Promise.all(Array.from({ length: 4 }, () => ok(create(org, { agent_id }))));
    expect(made.map((version) => version.version).sort()).toEqual(["0.2.0", "0.3.0", "0.4.0", "0.5.0"]);
    expect(await ok(org.call<Agent>("GET", `/agents/${agent_id}`))).toMatchObject({
      current_version: { version: "0.5.0" },
    });
  });

  it("gives an agent one archive, also when two versions that need it are made at once (LET-5)", async () => {
    const org = await newOrganization();
    const tools = ["archival_memory_insert", "archival_memory_search"];
    const { agent_id } = await ok(create(org));
    const versions = await Promise.all([ok(create(org, { agent_id, tools })), ok(create(org, { agent_id, tools }))]);
    versions.push(await ok(create(org, { agent_id, tools })));
    const { letta_user_id } = await tenantInLetta(org.orgId);
    const archives = await rest<{ id: string }[]>("GET", "/v1/archives/", letta_user_id);
    expect(archives.body).toHaveLength(1);
    for (const { letta_id } of versions) {
      expect((await rest("GET", `/v1/archives/?agent_id=${letta_id}`, letta_user_id)).body).toMatchObject([
        { id: archives.body[0]?.id },
      ]);
    }
  });

  it.each([
    ["run_code", "run code"],
    ["web_search", "network"],
    ["fetch_webpage", "network"],
    ["send_message_to_agent_async", "other agents"],
    ["def hack():\n  import os", "Python source"],
    ["no_such_tool", "no such tool"],
    ["constructor", "no such tool"],
  ])("refuses the tool %j and says what is allowed (LET-5)", async (tool, why) => {
    const org = await newOrganization();
    const { status, body } = await create(org, { tools: ["memory_insert", tool] });
    expect(status).toBe(400);
    expect(body).toMatchObject({ code: "invalid_argument", details: { reason: "tool_not_allowed", context: null } });
    expect(JSON.stringify(body)).toContain(why);
    expect(body.details.hint).toContain("conversation_search");
    expect((await ok(org.call<{ agents: Agent[] }>("GET", "/agents"))).agents).toEqual([]);
  });

  it("refuses a model that Letta does not offer, and names those it does (LET-5)", async () => {
    const org = await newOrganization();
    const { status, body } = await create(org, { model: "openai/gpt-nothing" });
    expect(status).toBe(400);
    expect(body.details).toMatchObject({
      reason: "unknown_model",
      available_models: expect.arrayContaining(["openai-proxy/dev"]),
    });
  });

  it("keeps whether its model is asked ahead, for the agent and not for a version (SSE-2)", async () => {
    const org = await newOrganization();
    const { agent_id } = await ok(create(org, { ask_ahead: "off" }));
    const read = () => ok(org.call<Agent & { guesses: object }>("GET", `/agents/${agent_id}`));
    expect((await read()).ask_ahead).toBe("off");
    const refused = await create(org, { agent_id, ask_ahead: "on" });
    expect([refused.status, refused.body.details.reason]).toEqual([400, "ask_ahead_with_agent"]);
    await ok(create(org, { agent_id }));
    expect((await read()).ask_ahead).toBe("off");
    expect((await ok(org.call<Agent>("PATCH", `/agents/${agent_id}`, { ask_ahead: "on" }))).ask_ahead).toBe("on");
    expect((await ok(org.call<Agent>("PATCH", `/agents/${agent_id}`, {}))).ask_ahead).toBe("on");
    expect((await ok(org.call<{ agents: Agent[] }>("GET", "/agents"))).agents[0]?.ask_ahead).toBe("on");
    expect((await org.call("PATCH", `/agents/${agent_id}`, { ask_ahead: "often" })).status).toBe(400);
    expect((await read()).guesses).toEqual({
      days: 7,
      hits: 0,
      misses: 0,
      unused: 0,
      missed_prompt_tokens: 0,
      missed_completion_tokens: 0,
      missed_tokens_estimated: false,
    });
    const other = await ok(create(org));
    expect((await ok(org.call<Agent>("GET", `/agents/${other.agent_id}`))).ask_ahead).toBe("auto");
  });

  it("refuses a bump without an agent, and an empty prompt (LET-5)", async () => {
    const org = await newOrganization();
    expect((await create(org, { bump: "major" })).body.details.reason).toBe("bump_without_agent");
    expect((await create(org, { system_prompt: "" })).status).toBe(400);
    expect((await create(org, { bump: "huge", agent_id: "agent_x" })).status).toBe(400);
  });
});

describe("reading agents", () => {
  it("lists agents and versions newest first, by cursor, each once (LET-5)", async () => {
    const org = await newOrganization();
    const made: string[] = [];
    for (let n = 0; n < 5; n++) made.unshift((await ok(create(org, { name: `Agent ${n}` }))).agent_id);
    const seen: string[] = [];
    for (let cursor: string | null = null; ; ) {
      const path: string = `/agents?limit=2${cursor === null ? "" : `&cursor=${cursor}`}`;
      const page = await ok(org.call<{ agents: Agent[]; next_cursor: string | null }>("GET", path));
      seen.push(...page.agents.map((agent) => agent.id));
      expect(page.agents.length).toBeLessThanOrEqual(2);
      cursor = page.next_cursor;
      if (cursor === null) break;
    }
    expect(seen).toEqual(made);

    const agentId = made[0] ?? "";
    await ok(create(org, { agent_id: agentId }));
    const first = await ok(
      org.call<{ versions: AgentVersion[]; next_cursor: string }>("GET", `/agents/${agentId}/versions?limit=1`),
    );
    const last = await ok(
      org.call<{ versions: AgentVersion[]; next_cursor: null }>(
        "GET",
        `/agents/${agentId}/versions?limit=1&cursor=${first.next_cursor}`,
      ),
    );
    expect([...first.versions, ...last.versions].map((version) => version.version)).toEqual(["0.2.0", "0.1.0"]);
    expect(last.next_cursor).toBeNull();
    expect((await org.call("GET", "/agents?cursor=agent_nonsense")).body).toMatchObject({
      details: { reason: "invalid_cursor" },
    });
  });

  it("answers alike, byte for byte, for what is not there and what is not yours (SEC-1)", async () => {
    const [mine, theirs] = await Promise.all([newOrganization(), newOrganization()]);
    const { agent_id } = await ok(create(theirs));
    const missing = agent_id.slice(0, -4) + (agent_id.endsWith("0000") ? "1111" : "0000");
    const calls: [string, (id: string) => string, (id: string) => object | undefined][] = [
      ["GET", (id) => `/agents/${id}`, () => undefined],
      ["GET", (id) => `/agents/${id}/versions`, () => undefined],
      ["PATCH", (id) => `/agents/${id}`, () => ({ ask_ahead: "off" })],
      ["POST", () => "/agents", (id) => ({ agent_id: id, name: "x", system_prompt: "x" })],
    ];
    for (const [method, path, body] of calls) {
      const foreign = await mine.call(method, path(agent_id), body(agent_id));
      expect(foreign).toEqual(await mine.call(method, path(missing), body(missing)));
      expect(foreign).toEqual(await mine.call(method, path("nonsense"), body("nonsense")));
      expect(foreign).toMatchObject({ status: 404, body: { details: { reason: "agent_not_found" } } });
    }
    expect((await ok(mine.call<{ agents: Agent[] }>("GET", "/agents"))).agents).toEqual([]);
    expect(
      (await ok(theirs.call<{ versions: unknown[] }>("GET", `/agents/${agent_id}/versions`))).versions,
    ).toHaveLength(1);
    expect(await agentsInLetta((await tenantInLetta(theirs.orgId)).letta_user_id)).toHaveLength(1);
  });
});
