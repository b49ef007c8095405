import { describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newAgent, newOrganization, newThread, ok } from "../harness/organization";
import { ofType, openStream, turnsEnded } from "../harness/stream";
import { alone, answered, counted, keyOf, limit, PLENTY, remaining, say, usage } from "./spending";

const { adminUrl } = inject("graphyn");

describe("limits", () => {
  it("set aside what a turn may take, and settle what it took, for everybody it counts for (SEC-5)", async () => {
    const { own, its, thread } = await alone();
    const ids = { organization: own.orgId, key: await keyOf(own), person: own.userId, agent: its, thread };
    for (const [scope, id] of Object.entries(ids)) await limit(own, scope, id, { tokens_per_month: PLENTY });
    const stream = await openStream(own, thread);
    await ok(say(own, thread, "!slow 1500\nhello"));
    const during = await counted(adminUrl, own.orgId);
    expect(during).toHaveLength(5);
    for (const { month_reserved, live } of during) {
      expect(month_reserved).toBeGreaterThan(500);
      expect(month_reserved).toBe(live);
    }
    const received = await stream.until(turnsEnded(1));
    await stream.close();
    const spent = ofType(received, "turn_completed")[0]?.usage?.total_tokens ?? 0;
    expect(spent).toBeGreaterThan(100);
    for (const { scope, month_reserved, month_tokens, ledger } of await counted(adminUrl, own.orgId)) {
      expect([month_reserved, month_tokens]).toEqual([0, ledger]);
      if (scope !== "organization") expect(ledger).toBe(spent); // which pays for embedding the messages, too
    }
    expect(await remaining(own, "thread", "tokens_per_month")).toBe(PLENTY - spent);
  });

  it("count what was spent before they were set, and what is under way (SEC-5)", async () => {
    const { own, its, thread } = await alone();
    const received = await answered(own, thread);
    const spent = ofType(received, "turn_completed")[0]?.usage?.total_tokens ?? 0;
    await limit(own, "organization", own.orgId, { tokens_per_month: PLENTY });
    const left = (await remaining(own, "organization", "tokens_per_month")) ?? 0;
    expect(left).toBeLessThanOrEqual(PLENTY - spent);
    expect(left).toBeGreaterThan(PLENTY - spent - 50); // messages may be embedded already
    const stream = await openStream(own, thread);
    await ok(say(own, thread, "!slow 1500\nhello"));
    await limit(own, "agent", its, { tokens_per_month: PLENTY });
    const [byAgent, all] = await counted(adminUrl, own.orgId);
    expect(byAgent).toMatchObject({ month_reserved: all?.month_reserved, live: all?.live });
    expect([byAgent?.month_tokens, byAgent?.ledger]).toEqual([spent, spent]);
    await stream.until(turnsEnded(1));
    await stream.close();
    for (const { month_reserved, month_tokens, ledger } of await counted(adminUrl, own.orgId)) {
      expect(month_reserved).toBe(0);
      expect(month_tokens).toBe(ledger);
      expect(ledger).toBeGreaterThan(spent);
    }
  });

  it("stop an answer that outgrows them: its text is kept, the log says why, and the agent goes on from it (SEC-5)", async () => {
    const { own, its, thread } = await alone("openai-proxy/dev-long-5000");
    const first = await answered(own, thread, "!say short");
    const spent = ofType(first, "turn_completed")[0]?.usage?.total_tokens ?? 0;
    const budget = spent * 2 + 2_000;
    await limit(own, "agent", its, { tokens_per_month: budget });
    const stream = await openStream(own, thread);
    await ok(say(own, thread, "count"));
    const received = await stream.until(turnsEnded(1));
    const [cancelled] = ofType(received, "turn_cancelled");
    const text = ofType(received, "message").find(({ message }) => message.turn_id === cancelled?.turn_id)?.message;
    expect(cancelled).toMatchObject({
      reason: "budget_spent",
      limit: { scope: "agent", scope_id: its, metric: "tokens_per_month" },
      cancelled_by: null,
      message_id: text?.id,
    });
    expect(text?.status).toBe("cancelled");
    const chunks = ofType(received, "ai_chunk").filter(({ turn_id }) => turn_id === cancelled?.turn_id);
    expect(text?.content).toBe(chunks.map(({ content }) => content).join(""));
    expect(text?.content).toMatch(/^1 2 3 /);
    expect(text?.content.length).toBeGreaterThan(1_000);
    const [count] = await counted(adminUrl, own.orgId);
    expect(count?.month_reserved).toBe(0);
    expect(count?.month_tokens).toBe(count?.ledger);
    expect(count?.month_tokens).toBeLessThanOrEqual(budget);
    expect(count?.month_tokens).toBeGreaterThan(budget - 600);
    expect((await say(own, thread)).body.details).toMatchObject({ reason: "quota_exceeded", scope: "agent" });

    await limit(own, "agent", its, { tokens_per_month: PLENTY });
    await ok(say(own, thread, "!say on we go"));
    const after = await stream.until(turnsEnded(2));
    await stream.close();
    expect(ofType(after, "message").at(-1)?.message.content).toBe("on we go");
  });

  it("let an answer be kept whose agent would hand the word on, and say why that one is not asked (SEC-5, AGT-1)", async () => {
    const own = await newOrganization();
    const asking = await newAgent(own, "Ping", "openai-proxy/dev", "You are Ping. Ask @Pong next.");
    const asked = await newAgent(own, "Pong");
    const body = { agents: [asking, asked], turn_policy: "mentioned" };
    const thread = (await ok(own.call<{ thread: { id: string } }>("POST", "/threads", body))).thread.id;
    await limit(own, "agent", asked, { tokens_per_month: 1 });
    const stream = await openStream(own, thread);
    await ok(say(own, thread, "How do we begin?", { mentions: [asking] }));
    const received = await stream.until((all) => ofType(all, "message").some(({ message }) => message.reason !== null));
    await stream.close();
    const [answer, why] = ofType(received, "message").slice(-2);
    expect(answer?.message).toMatchObject({ sender_id: asking, status: "complete", mentions: [asked] });
    expect(why?.message).toMatchObject({ sender_type: "system", reason: "budget_spent" });
    expect(why?.message.content).toContain("Pong");
    expect(ofType(received, "turn_started")).toHaveLength(1);
  });

  it("leave nothing set aside when turns are cancelled, fail, are joined, or go with their thread (SEC-5)", async () => {
    const { own, its } = await alone("openai-proxy/dev-n600-r20");
    const failing = await newAgent(own, "Failing", "openai-proxy/dev-error-401");
    await limit(own, "organization", own.orgId, { tokens_per_month: PLENTY });
    const [stopped, gone, bad] = [
      await newThread(own, [its]),
      await newThread(own, [its]),
      await newThread(own, [failing]),
    ];
    const stream = await openStream(own, stopped);
    await ok(say(own, stopped));
    await ok(say(own, stopped, "and one that waits"));
    await ok(say(own, gone));
    await ok(say(own, bad));
    await stream.until((received) => ofType(received, "ai_chunk").length > 3);
    await ok(own.call("POST", `/threads/${stopped}/cancel`));
    await ok(own.call("DELETE", `/threads/${gone}?purge=true`));
    await expect
      .poll(() => adminQuery(adminUrl, "select 1 from turns where org_id = $1 and ended_at is null", [own.orgId]), {
        timeout: 20_000,
      })
      .toEqual([]);
    await stream.close();
    const [all] = await counted(adminUrl, own.orgId);
    expect(all).toMatchObject({ month_reserved: 0, month_tokens: all?.ledger });
    expect((await usage(own)).total).toMatchObject({ turns: 4, cancelled_turns: 3, failed_turns: 1 });
  });
});
