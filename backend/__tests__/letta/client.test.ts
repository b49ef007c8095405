import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { identifierKey, type Letta, LettaError, type LettaOrg } from "../../lib/letta-client";
import { lettaApiKey, lettaUrl, listen, newConversation, newLetta, newTenant, type TestTenant, textOf } from "./stack";

let letta: Letta;
let tenant: TestTenant;
let org: LettaOrg;
let otherTenant: TestTenant;
let other: LettaOrg;

beforeAll(async () => {
  letta = newLetta();
  [tenant, otherTenant] = await Promise.all([newTenant(letta), newTenant(letta)]);
  org = letta.as(tenant);
  other = letta.as(otherTenant);
});
afterAll(() => letta.close());

/** Letta's own REST, past our client: what it does itself is what protects. */
async function rest(
  method: string,
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(lettaUrl() + path, { method, headers });
  return { status: response.status, body: await response.json().catch(() => null) };
}
const as = (userId: string) => ({ authorization: `Bearer ${lettaApiKey()}`, user_id: userId });

describe("the wall inside Letta", () => {
  it("refuses without the password, without a user and for an unknown user (LET-1, SEC-1)", async () => {
    expect((await rest("GET", "/v1/agents/", {})).status).toBe(401);
    expect((await rest("GET", "/v1/agents/", { authorization: `Bearer ${lettaApiKey()}` })).status).toBe(404);
    expect((await rest("GET", "/v1/agents/", as(`user-${randomUUID()}`))).status).toBe(404);
  });

  it("shows an organization's agents and conversations to its own Letta user only (LET-1, SEC-1)", async () => {
    const { agent, conversationId } = await newConversation(org);
    for (const path of [`/v1/agents/${agent.id}`, `/v1/conversations/${conversationId}`]) {
      expect((await rest("GET", path, as(tenant.lettaUserId))).status).toBe(200);
      expect((await rest("GET", path, as(otherTenant.lettaUserId))).status).toBe(404);
    }
    // Lists answer 200 to anybody, with what is theirs.
    for (const path of [
      `/v1/conversations/${conversationId}/messages`,
      `/v1/runs/?conversation_id=${conversationId}`,
    ]) {
      expect(await rest("GET", path, as(otherTenant.lettaUserId))).toEqual({ status: 200, body: [] });
    }
    expect((await rest("DELETE", `/v1/agents/${agent.id}`, as(otherTenant.lettaUserId))).status).toBe(404);
    expect((await rest("GET", `/v1/agents/${agent.id}`, as(tenant.lettaUserId))).status).toBe(200);
  });

  it("puts the organization's identity on every agent and block (LET-1)", async () => {
    const { agent } = await newConversation(org);
    const block = await org.blocks.create({
      label: "human",
      value: "",
      description: "",
      limit: 1000,
      tags: ["test"],
      metadata: {},
    });
    const key = identifierKey(tenant.orgId);
    const raw = await rest("GET", `/v1/agents/${agent.id}?include=agent.identities`, as(tenant.lettaUserId));
    expect(raw.body).toMatchObject({ identities: [{ identifier_key: key, identity_type: "org" }] });
    const blocks = await rest("GET", `/v1/blocks/?identifier_keys=${key}`, as(tenant.lettaUserId));
    expect(blocks.body).toMatchObject([{ id: block.id }]);
  });

  it("does not use an agent that lacks the identity, although Letta would (LET-1, SEC-1)", async () => {
    const { agent } = await newConversation(org);
    await rest("PATCH", `/v1/agents/${agent.id}/identities/detach/${tenant.identityId}`, as(tenant.lettaUserId));
    expect((await rest("GET", `/v1/agents/${agent.id}`, as(tenant.lettaUserId))).status).toBe(200);
    await expect(org.agents.get(agent.id)).rejects.toMatchObject({ kind: "not_found" });
    await expect(org.agents.delete(agent.id)).rejects.toMatchObject({ kind: "not_found" });
    for await (const { id } of org.agents.list()) expect(id).not.toBe(agent.id);
  });

  it("cannot speak in another organization's conversation (SEC-1)", async () => {
    const { conversationId } = await newConversation(org);
    const { events, error } = await listen(other, { conversationId, content: "let me in" });
    expect(events).toEqual([]);
    expect(error).toMatchObject({ kind: "not_found", retryable: false });
    await expect(other.conversations.delete(conversationId)).rejects.toMatchObject({ kind: "not_found" });
  });

  it("makes one identity, however often and from wherever it is asked (LET-1)", async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, () => org.identity.upsert("again")));
    expect(new Set(ids)).toEqual(new Set([tenant.identityId]));
    const fresh = letta.as({ ...(await newTenantWithoutIdentity()), identityId: "" });
    const raced = await Promise.all(Array.from({ length: 5 }, () => fresh.identity.upsert("race")));
    expect(new Set(raced).size).toBe(1);
  });
});

async function newTenantWithoutIdentity() {
  const orgId = `test${randomUUID().slice(0, 8)}`;
  const lettaOrgId = await letta.admin.createOrganization(orgId);
  return { orgId, lettaUserId: await letta.admin.createUser(orgId, lettaOrgId) };
}

describe("an answer", () => {
  it("streams: the run first, then the text in pieces, the stop and the usage (LET-2, LET-4)", async () => {
    const { conversationId } = await newConversation(org);
    const { events, error } = await listen(org, { conversationId, content: "!tokens 5" });
    expect(error).toBeNull();
    expect(events[0]).toMatchObject({ type: "run", runId: expect.stringMatching(/^run-/) });
    expect(events.filter((event) => event.type === "text").length).toBeGreaterThan(1);
    expect(textOf(events)).toBe("1 2 3 4 5");
    expect(events).toContainEqual({ type: "stop", reason: "end_turn" });
    expect(events.at(-1)).toMatchObject({ type: "usage", completionTokens: 5, steps: 1 });
  });

  it("is stored by Letta under the otid it was given, so that it can be found again (LET-2)", async () => {
    const { conversationId } = await newConversation(org);
    const otid = randomUUID();
    await listen(org, { conversationId, content: "find me — ünïcödé 🜂", otid });
    const messages = await org.conversations.messages(conversationId, { order: "asc" });
    expect(messages).toContainEqual(
      expect.objectContaining({ otid, kind: "user_message", text: "find me — ünïcödé 🜂" }),
    );
  });

  it("tells of tools and their returns (LET-2)", async () => {
    const [tool] = await org.tools.byNames(["conversation_search"]);
    const agent = await org.agents.create({
      name: "Tooled",
      system: "You are Tooled.",
      model: "openai-proxy/dev",
      toolIds: [tool?.id ?? ""],
      blockIds: [],
      tags: [],
      metadata: {},
    });
    const conversationId = await org.conversations.create(agent.id);
    const { events, error } = await listen(org, {
      conversationId,
      content: '!tool conversation_search {"query":"anything"}',
    });
    expect(error).toBeNull();
    const calls = events.filter((event) => event.type === "tool_call");
    expect(calls[0]).toMatchObject({ name: "conversation_search" });
    expect(JSON.parse(calls.map((call) => call.arguments).join(""))).toMatchObject({ query: "anything" });
    expect(events).toContainEqual(expect.objectContaining({ type: "tool_return", status: "success" }));
    expect(textOf(events)).not.toBe("");
  });

  it.each([
    ["!error 500", "model_failed", true],
    ["!error 429", "rate_limited", true],
    ["!error 401", "model_credentials", false],
    ["!cut 3", "model_failed", true],
    ["!garbage", "model_failed", true],
  ] as const)(
    "says in one word and one sentence what is wrong with the model: %s (LET-2, LET-7)",
    async (content, kind, retryable) => {
      const { conversationId } = await newConversation(org);
      const { error } = await listen(org, { conversationId, content });
      expect(error).toBeInstanceOf(LettaError);
      expect(error).toMatchObject({ kind, retryable, blame: "model" });
      expect((error as LettaError).message).toMatch(/^The .*\.$/);
      // The conversation goes on afterwards.
      const next = await listen(org, { conversationId, content: "!tokens 2" });
      expect(textOf(next.events)).toBe("1 2");
    },
  );

  it("does not blame the server for its model: the breaker stays closed (LET-7)", async () => {
    const { conversationId } = await newConversation(org, "dev-error-400");
    for (let n = 0; n < 6; n++)
      expect((await listen(org, { conversationId, content: "hi" })).error).toMatchObject({ kind: "model_failed" });
    expect((await letta.health()).servers[0]?.breaker).toBe("closed");
  });
});

describe("a stop", () => {
  it("ends the run in Letta, verified, and the conversation goes on (LET-2, SSE-6)", async () => {
    const { conversationId } = await newConversation(org, "dev-n600-r20");
    const stop = new AbortController();
    const said: string[] = [];
    let error: unknown;
    try {
      for await (const event of org.streamMessage({ conversationId, content: "count", signal: stop.signal })) {
        if (event.type === "text" && said.push(event.text) === 3) stop.abort();
      }
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ kind: "cancelled" });
    expect(await org.cancel(conversationId)).toBe(true);
    expect((await org.conversations.runs(conversationId)).map((run) => run.status)).toEqual(["cancelled"]);
    expect(said.length).toBeLessThan(20);
    const next = await listen(org, { conversationId, content: "!tokens 2" });
    expect(textOf(next.events)).toBe("1 2");
  });

  it("of a model that hangs is confirmed too, and happens when a reader just leaves (LET-2, SSE-6)", async () => {
    const { conversationId } = await newConversation(org, "dev-hang");
    for await (const event of org.streamMessage({ conversationId, content: "hang" })) {
      expect(event.type).toBe("run");
      break; // the reader leaves
    }
    expect(await org.cancel(conversationId)).toBe(true);
    expect((await org.conversations.runs(conversationId)).map((run) => run.status)).toEqual(["cancelled"]);
  });

  it("leaves nothing of the exchange in Letta, also when the model answers later: what was said has to be said again (LET-2, SSE-6)", async () => {
    const { conversationId } = await newConversation(org, "dev-slow-1000");
    for await (const event of org.streamMessage({ conversationId, content: "never mind" })) {
      expect(event.type).toBe("run");
      break;
    }
    const next = await listen(org, { conversationId, content: "and now" }); // answers after the stopped one would have
    expect(next.error).toBeNull();
    const messages = await org.conversations.messages(conversationId, { order: "asc" });
    expect(messages.filter((message) => message.kind === "user_message").map((message) => message.text)).toEqual([
      "and now",
    ]);
    expect(messages.filter((message) => message.kind === "assistant_message")).toHaveLength(1);
  });

  it("before it was asked costs Letta nothing (LET-2)", async () => {
    const { conversationId } = await newConversation(org);
    const { error } = await listen(org, { conversationId, content: "no", signal: AbortSignal.abort() });
    expect(error).toMatchObject({ kind: "cancelled", retryable: false });
    expect(await org.conversations.runs(conversationId)).toEqual([]);
  });
});
