import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { type Nodes, startNodes } from "../harness/nodes";
import { newAgent, newThread, ok, type Problem, type TestOrganization } from "../harness/organization";
import { counted, limit, usage } from "./spending";

const POSTS = 100;
const THREADS = 20;
/** Turns that the budget has place for, by what is set aside for one. */
const PLACES = 7;
const ENDED_MS_MAX = 120_000;

describe("a hundred posts at once through two processes", () => {
  let nodes: Nodes;
  let org: TestOrganization;
  let beside: TestOrganization;
  beforeAll(async () => {
    nodes = await startNodes(2);
    org = await nodes.organization();
    beside = nodes.at(org, 1);
  });
  afterAll(() => nodes?.stop());

  const allEnded = () =>
    expect
      .poll(
        () =>
          adminQuery(nodes.database.adminUrl, "select id from turns where org_id = $1 and ended_at is null", [
            org.orgId,
          ]),
        { timeout: ENDED_MS_MAX },
      )
      .toEqual([]);

  it("set aside no more than the budget, to the token, and spend no more (SEC-5)", async () => {
    const agent = await newAgent(org, "Echo", "openai-proxy/dev-n20-d300");
    const threads: string[] = [];
    for (let at = 0; at < THREADS; at++) threads.push(await newThread(org, [agent]));
    // What is set aside for a first turn of this agent.
    await limit(org, "organization", org.orgId, { tokens_per_month: 1 });
    const refusal = await org.call<Problem>("POST", `/threads/${threads[0]}/messages`, { content: "hello 00" });
    const reservation = Number(refusal.body.details.needed);
    expect(reservation).toBeGreaterThan(500);
    const budget = PLACES * reservation + reservation / 2;
    await limit(org, "organization", org.orgId, { tokens_per_month: Math.ceil(budget) });
    await limit(org, "person", org.userId, { tokens_per_month: 1_000_000 });
    await limit(org, "agent", agent, { tokens_per_month: 1_000_000 });

    const post = (at: number) =>
      (at % 2 === 0 ? org : beside).call<Problem>("POST", `/threads/${threads[at % THREADS]}/messages`, {
        content: `hello ${String(at).padStart(2, "0")}`,
      });
    let isWatching = true;
    let most = 0;
    const watching = (async () => {
      while (isWatching) {
        for (const { month_reserved, month_tokens, live, ledger } of await counted(
          nodes.database.adminUrl,
          org.orgId,
        )) {
          // One statement's view: the counters are what the rows come to, at every moment.
          expect([month_reserved, month_tokens]).toEqual([live, ledger]);
          most = Math.max(most, month_reserved + month_tokens);
        }
      }
    })();
    const answers = await Promise.all(Array.from({ length: POSTS }, (_, at) => post(at)))
      .then(async (all) => {
        await allEnded();
        return all;
      })
      .finally(() => {
        isWatching = false;
        return watching;
      });
    const taken = answers.filter(({ status }) => status === 200).length;
    const refused = answers.filter(({ status }) => status === 429);
    expect(taken + refused.length).toBe(POSTS);
    expect(taken).toBeGreaterThanOrEqual(PLACES);
    expect(refused.length).toBeGreaterThan(0);
    for (const { body } of refused)
      expect(body.details).toMatchObject({ reason: "quota_exceeded", policy: "organization-tokens-per-month" });
    expect(most).toBeLessThanOrEqual(Math.ceil(budget));
    for (const { month_reserved, month_tokens, ledger } of await counted(nodes.database.adminUrl, org.orgId))
      expect([month_reserved, month_tokens]).toEqual([0, ledger]);
    const { total } = await usage(org);
    expect(total.turns).toBe(taken);
    expect(total.total_tokens).toBeLessThanOrEqual(budget);
    // Each message that was refused is nowhere.
    const [stored] = await adminQuery<{ n: number }>(
      nodes.database.adminUrl,
      "select count(*)::int as n from messages where org_id = $1 and sender_type = 'user'",
      [org.orgId],
    );
    expect(stored?.n).toBe(taken);
  }, 240_000);

  it("count requests exactly, whichever process takes them (SEC-5)", async () => {
    const agent = await newAgent(org, "Counted", "openai-proxy/dev-echo");
    const threads: string[] = [];
    for (let at = 0; at < 10; at++) threads.push(await newThread(org, [agent]));
    await ok(org.call("DELETE", `/limits/organization/${org.orgId}`));
    await limit(org, "agent", agent, { requests_per_minute: 9 });
    const left = 60_000 - (Date.now() % 60_000);
    if (left < 25_000) await new Promise((resolve) => setTimeout(resolve, left + 100));
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, at) =>
        (at % 2 === 0 ? org : beside).call("POST", `/threads/${threads[at % 10]}/messages`, { content: "hello" }),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(9);
    await allEnded();
  }, 180_000);

  it("see the first limit of an organization set among them, and count all they spend (SEC-5)", async () => {
    const own = await nodes.organization();
    const other = nodes.at(own, 1);
    const agent = await newAgent(own, "Early", "openai-proxy/dev-echo");
    const threads: string[] = [];
    for (let at = 0; at < 16; at++) threads.push(await newThread(own, [agent]));
    const posts = threads.map((thread, at) =>
      (at % 2 === 0 ? own : other).call("POST", `/threads/${thread}/messages`, { content: "hello" }),
    );
    for (let round = 0; round < 5; round++) {
      await limit(own, "organization", own.orgId, { tokens_per_month: 10_000_000 });
      if (round < 4) await ok(other.call("DELETE", `/limits/organization/${own.orgId}`));
    }
    await Promise.all(posts);
    await expect
      .poll(
        () =>
          adminQuery(nodes.database.adminUrl, "select id from turns where org_id = $1 and ended_at is null", [
            own.orgId,
          ]),
        { timeout: ENDED_MS_MAX },
      )
      .toEqual([]);
    const [all] = await counted(nodes.database.adminUrl, own.orgId);
    expect(all?.ledger).toBeGreaterThan(0);
    expect(all).toMatchObject({ month_tokens: all?.ledger, month_reserved: 0 });
  }, 180_000);
});
