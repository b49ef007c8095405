import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { estimateUsage } from "../../models/metering/usage";
import type { ChatBody } from "../../models/requests/chat-body";
import { adminQuery } from "../harness/database";
import { newThread, ok, type Problem, type TestOrganization } from "../harness/organization";
import type { Server } from "../harness/server";
import { ofType, turnsEnded } from "../harness/stream";
import { type BehindGateway, behindGateway, START_MS_MAX, startBeside, testThread } from "../models/behind-gateway";
import { counted, limit, usage } from "./spending";

/** US dollars for a million tokens, and so millionths for one. */
const PRICE = { prompt: 2, completion: 8 };

describe("spending, where Letta asks its models through the gateway", () => {
  let behind: BehindGateway;
  let priced: Server;
  let org: TestOrganization;
  beforeAll(async () => {
    behind = await behindGateway();
    const upstream = { name: "dev", base_url: `${behind.stack.modelUrl}/v1`, key_secret: "dev", price: PRICE };
    priced = await startBeside(behind.stack, { MODEL_UPSTREAMS: JSON.stringify([upstream]) });
    org = behind.at(priced.url);
  }, START_MS_MAX);
  afterAll(() => priced?.stop());

  const thread = async (model: string, more: object = {}) => {
    const { agent_id } = await behind.agent(model, more);
    return { agent_id, ...(await testThread(org, await newThread(org, [agent_id]))) };
  };
  const turns = (threadId: string) =>
    adminQuery<{ prompt_tokens: number; completion_tokens: number; cost: number; model: string; price: object }>(
      behind.stack.adminUrl,
      "select prompt_tokens, completion_tokens, cost_micros::int as cost, model, price from turns where thread_id = $1 order by id",
      [threadId],
    );

  it("counts money at the price of then, over all calls of a turn (SEC-5)", async () => {
    const { agent_id, threadId, ask } = await thread("dev", { tools: ["memory_insert"] });
    await ask('!tool memory_insert {"label":"human","new_string":"likes tea"}');
    await ask("!say ten");
    const rows = await turns(threadId);
    for (const { prompt_tokens, completion_tokens, cost, model, price } of rows) {
      expect(prompt_tokens).toBeGreaterThan(0);
      expect(cost).toBe(prompt_tokens * PRICE.prompt + completion_tokens * PRICE.completion);
      expect({ model, price }).toEqual({ model: "dev", price: { ...PRICE, cachedPrompt: PRICE.prompt } });
    }
    const calls = (await behind.calls(threadId)).filter(({ purpose }) => purpose === "turn");
    expect(calls.length).toBeGreaterThan(rows.length); // the tool's turn has two steps
    const sum = (of: { prompt_tokens: number | null }[]) => of.reduce((all, one) => all + (one.prompt_tokens ?? 0), 0);
    expect(sum(calls)).toBe(sum(rows));
    const byAgent = await usage(org, "agent");
    const entry = byAgent.rows.find(({ key }) => key === agent_id);
    expect(entry?.turns).toBe(2);
    expect(entry?.cost_micros).toBeGreaterThanOrEqual(rows.reduce((all, { cost }) => all + cost, 0));
  }, 120_000);

  it("says of how many tokens it knows no price, and counts no money for them (SEC-5)", async () => {
    const { threadId, ask } = await behind.thread("dev"); // through the server without prices
    await ask("!say unpriced");
    const [row] = await turns(threadId);
    expect(row).toMatchObject({ cost: null, price: null });
    expect((await usage(org)).total.unpriced_tokens).toBeGreaterThanOrEqual(row?.prompt_tokens ?? 0);
  }, 120_000);

  it("asks no model for what does not fit, also in money (SEC-5)", async () => {
    const { agent_id, threadId, stream } = await thread("dev");
    await limit(org, "agent", agent_id, { cost_micros_per_month: 100 });
    const words = `never asked ${threadId}`;
    const { status, body } = await org.call<Problem>("POST", `/threads/${threadId}/messages`, { content: words });
    await stream.close();
    expect(status).toBe(429);
    expect(body.details).toMatchObject({ reason: "quota_exceeded", metric: "cost_micros_per_month", limit: 100 });
    expect(await behind.asked(words)).toEqual([]);
  }, 120_000);

  it("ends the upstream's request when a budget ends in mid-answer; Letta remembers what was read (SEC-5, LET-6)", async () => {
    const { agent_id, threadId, stream, ask, say } = await thread("dev-n600-r20");
    const first = await ask(`!say short ${threadId}`);
    const taken = ofType(first, "turn_completed")[0]?.usage?.total_tokens ?? 0;
    // The next prompt as it will be estimated, a third above four characters a token, and so much of an answer.
    const body = (await behind.asked(`short ${threadId}`)).at(-1)?.body as ChatBody;
    const prompt = Math.ceil((estimateUsage(body, 0).prompt_tokens * 4) / 3);
    await limit(org, "agent", agent_id, { tokens_per_month: taken + prompt + 300 });
    const words = `count for ${threadId}`;
    await say(words);
    const received = await stream.until(turnsEnded(2), 90_000);
    const [cancelled] = ofType(received, "turn_cancelled");
    const message = ofType(received, "message").find(({ message: one }) => one.turn_id === cancelled?.turn_id)?.message;
    expect(cancelled).toMatchObject({ reason: "budget_spent", limit: { scope: "agent", scope_id: agent_id } });
    expect(message).toMatchObject({ status: "cancelled" });
    expect(message?.content).toMatch(/^1 2 3 /);
    expect(await behind.lastInLetta(threadId, "assistant_message")).toBe(message?.content);
    const [request] = (await behind.asked(words)).slice(-1);
    await expect.poll(async () => (await behind.asked(words)).at(-1)?.client_gone).toBe(true);
    expect(request).toBeDefined();
    const mine = await adminQuery<{ scope_id: string }>(
      behind.stack.adminUrl,
      "select scope_id from limits where org_id = $1 and month_tokens + month_reserved > coalesce(tokens_per_month, 1e9)",
      [org.orgId],
    );
    expect(mine).toEqual([]); // not passed by a token
    await ok(org.call("DELETE", `/limits/agent/${agent_id}`));
    const after = await ask("!say and on");
    await stream.close();
    expect(ofType(after, "message").at(-1)?.message.content).toBe("and on");
  }, 180_000);

  describe("a message that joins a running turn", () => {
    /** Long enough to need more than what is set aside for the answer that it joins. */
    const LONG = "a detail ".repeat(1_000);
    const TOKENS_MIN = LONG.length / 4;
    /** At its first step, which waits a second, and a further one will follow. */
    async function atFirstStep() {
      const own = await thread("dev-slow-1000", { tools: ["memory_insert"] });
      await limit(org, "agent", own.agent_id, { tokens_per_month: 10_000_000 });
      await own.say(`${own.threadId}\n!tool memory_insert {"label":"human","new_string":"likes tea"}`);
      await expect.poll(async () => (await behind.asked(own.threadId)).length, { timeout: 20_000 }).toBe(1);
      return own;
    }
    const join = (threadId: string, content: string) =>
      org.call<Problem>("POST", `/threads/${threadId}/messages`, { content, when_busy: "steer" });
    const agents = async (agentId: string) => {
      const [row] = await adminQuery<{ tokens: number; reserved: number }>(
        behind.stack.adminUrl,
        "select month_tokens::int as tokens, month_reserved::int as reserved from limits where org_id = $1 and scope_id = $2",
        [org.orgId, agentId],
      );
      return row ?? { tokens: 0, reserved: 0 };
    };
    const held = async (threadId: string) => {
      const rows = await adminQuery<{ tokens: number }>(
        behind.stack.adminUrl,
        "select reserved_tokens::int as tokens from turns where thread_id = $1 order by id",
        [threadId],
      );
      return rows.map(({ tokens }) => tokens);
    };

    it("is not said where it does not fit (SEC-5, SSE-6)", async () => {
      const { agent_id, threadId, stream } = await atFirstStep();
      const { tokens, reserved } = await agents(agent_id);
      await limit(org, "agent", agent_id, { tokens_per_month: tokens + reserved + 100 });
      const { status, body } = await join(threadId, `too much ${LONG}`);
      expect(status).toBe(429);
      expect(body.details).toMatchObject({ reason: "quota_exceeded", scope: "agent", remaining: 100 });
      await limit(org, "agent", agent_id, { tokens_per_month: 10_000_000 });
      const received = await stream.until(turnsEnded(1), 60_000);
      await stream.close();
      expect(ofType(received, "turn_joined")).toEqual([]);
      expect(await behind.asked("too much", threadId)).toEqual([]);
    }, 120_000);

    it("has set aside what it costs the turn more, before the model is asked with it (SEC-5, SSE-6)", async () => {
      const { agent_id, threadId, stream } = await atFirstStep();
      const [before = 0] = await held(threadId);
      await ok(join(threadId, `${LONG} so much ${threadId}`));
      await expect.poll(() => behind.asked("so much", threadId), { timeout: 20_000 }).toHaveLength(1);
      const [after = 0] = await held(threadId); // its answer waits for a second
      expect(before).toBeGreaterThan(0);
      expect(after).toBeGreaterThan(Math.max(before, TOKENS_MIN));
      const received = await stream.until(turnsEnded(2), 60_000);
      await stream.close();
      const [usage] = ofType(received, "turn_completed").map((completed) => completed.usage);
      expect(usage?.total_tokens).toBeGreaterThan(TOKENS_MIN);
      expect(await agents(agent_id)).toEqual({ tokens: usage?.total_tokens, reserved: 0 });
    }, 120_000);

    it("asks no model where the running turn may take no more, and ends with it (SEC-5, SSE-6)", async () => {
      const { agent_id, threadId, stream } = await atFirstStep();
      await ok(join(threadId, `${LONG} never asked ${threadId}`));
      const { tokens, reserved } = await agents(agent_id);
      const most = tokens + reserved + 100;
      await limit(org, "agent", agent_id, { tokens_per_month: most });
      const received = await stream.until(turnsEnded(2), 60_000);
      await stream.close();
      expect(ofType(received, "turn_cancelled")).toMatchObject([
        { reason: "budget_spent", limit: { scope: "agent", scope_id: agent_id } },
        { reason: "budget_spent" },
      ]);
      expect(await behind.asked("never asked", threadId)).toEqual([]);
      const left = await agents(agent_id);
      expect(left.reserved).toBe(0);
      expect(left.tokens).toBeLessThan(most);
    }, 120_000);
  });

  it("accounts embeddings and guesses to the organization, and counts them (SEC-5)", async () => {
    await limit(org, "organization", org.orgId, { tokens_per_month: 100_000_000 });
    const { ask } = await thread("dev-echo");
    await ask("one");
    await ask("two");
    const others = () =>
      adminQuery<{ purpose: string; tokens: number }>(
        behind.stack.adminUrl,
        "select purpose, (prompt_tokens + completion_tokens)::int as tokens from usage_entries where org_id = $1 and purpose <> 'turn'",
        [org.orgId],
      );
    await ok(org.call("GET", "/search?q=something"));
    await expect.poll(async () => (await others()).some(({ purpose }) => purpose === "embedding")).toBe(true);
    const all = (await counted(behind.stack.adminUrl, org.orgId)).find(({ scope }) => scope === "organization");
    expect(all?.month_tokens).toBe(all?.ledger);
    expect((await usage(org)).total.other_calls).toBe((await others()).length);
  }, 120_000);
});
