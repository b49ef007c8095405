import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { type Nodes, startNodes } from "../harness/nodes";
import { newAgent, newThread, ok, type Problem, type TestOrganization } from "../harness/organization";
import { counted, limit, usage } from "./spending";

const ROUNDS = 6;
const ENDED_MS_MAX = 120_000;

interface Sums {
  turns: number;
  completed_turns: number;
  failed_turns: number;
  cancelled_turns: number;
  prompt_tokens: number;
  completion_tokens: number;
}

describe("the ledger of usage", () => {
  let nodes: Nodes;
  let org: TestOrganization;
  let beside: TestOrganization;
  beforeAll(async () => {
    nodes = await startNodes(2);
    org = await nodes.organization();
    beside = nodes.at(org, 1);
  });
  afterAll(() => nodes?.stop());

  const query = <T extends object>(text: string, values: unknown[] = []) =>
    adminQuery<T>(nodes.database.adminUrl, text, values);
  const ended = () =>
    expect.poll(() => query("select id from turns where ended_at is null"), { timeout: ENDED_MS_MAX }).toEqual([]);

  it("comes to what the turns' rows come to, whatever became of them and of a process that was killed (SEC-5, OBS-1)", async () => {
    await limit(org, "organization", org.orgId, { tokens_per_month: 10_000_000 });
    const models = ["dev-echo", "dev-n20", "dev-error-401", "dev-cut-3", "dev-n300-r50", "dev-empty"];
    const agents: string[] = [];
    for (const model of models) agents.push(await newAgent(org, `On ${model}`, `openai-proxy/${model}`));
    const threads: string[] = [];
    for (let at = 0; at < ROUNDS; at++)
      threads.push(
        await newThread(
          org,
          agents.filter((_, which) => which === at || which === (at * 2 + 1) % agents.length),
        ),
      );
    const at = (which: number) => (which % 2 === 0 ? org : beside);
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(
        threads.map(async (thread, which) => {
          await ok(at(which + round).call("POST", `/threads/${thread}/messages`, { content: `round ${round}` }));
          if ((which * 7 + round * 3) % 5 === 0) await ok(at(which).call("POST", `/threads/${thread}/cancel`));
        }),
      );
      if (round === ROUNDS - 2) {
        await nodes.nodes[1]?.stop("SIGKILL");
        beside = org;
      }
    }
    await ended();

    const [rows] = await query<Sums>(
      `select count(*)::int as turns, count(*) filter (where state = 'completed')::int as completed_turns,
         count(*) filter (where state = 'failed')::int as failed_turns, count(*) filter (where state = 'cancelled')::int as cancelled_turns,
         coalesce(sum(prompt_tokens), 0)::int as prompt_tokens, coalesce(sum(completion_tokens), 0)::int as completion_tokens
       from turns where org_id = $1`,
      [org.orgId],
    );
    expect(rows?.turns).toBeGreaterThan(ROUNDS * ROUNDS);
    for (const kind of ["completed_turns", "failed_turns", "cancelled_turns"] as const)
      expect(rows?.[kind]).toBeGreaterThan(0);
    const [ofTurns] = await query<Sums>(
      `select count(*)::int as turns, coalesce(sum(prompt_tokens), 0)::int as prompt_tokens, coalesce(sum(completion_tokens), 0)::int as completion_tokens
       from usage_entries where org_id = $1 and purpose = 'turn'`,
      [org.orgId],
    );
    expect(ofTurns).toEqual({
      turns: rows?.turns,
      prompt_tokens: rows?.prompt_tokens,
      completion_tokens: rows?.completion_tokens,
    });
    expect(
      await query(
        "select t.id from turns t left join usage_entries u on (u.org_id, u.id) = (t.org_id, t.id) where u.id is null",
      ),
    ).toEqual([]);

    const [rest] = await query<{ tokens: number; calls: number }>(
      "select coalesce(sum(prompt_tokens + completion_tokens), 0)::int as tokens, count(*)::int as calls from usage_entries where purpose <> 'turn' and org_id = $1",
      [org.orgId],
    );
    const total = (rows?.prompt_tokens ?? 0) + (rows?.completion_tokens ?? 0) + (rest?.tokens ?? 0);
    for (const by of ["day", "agent", "key", "person", "model"]) {
      const answer = await usage(org, by);
      expect(answer.total).toMatchObject({
        turns: rows?.turns,
        completed_turns: rows?.completed_turns,
        failed_turns: rows?.failed_turns,
        cancelled_turns: rows?.cancelled_turns,
        total_tokens: total,
        other_calls: rest?.calls,
      });
      for (const figure of ["turns", "total_tokens", "prompt_tokens", "other_calls", "estimated_tokens"] as const)
        expect(answer.rows.reduce((sum, row) => sum + row[figure], 0)).toBe(answer.total[figure]);
      if (by === "agent") expect(new Set(answer.rows.flatMap(({ key }) => key ?? []))).toEqual(new Set(agents));
      if (by === "person") expect(answer.rows.find(({ key }) => key === org.userId)?.turns).toBe(rows?.turns);
    }
    const [waits] = await query<{ p50: number; p95: number; p99: number }>(
      `select percentile_disc(0.5) within group (order by first_token_ms) as p50, percentile_disc(0.95) within group (order by first_token_ms) as p95,
         percentile_disc(0.99) within group (order by first_token_ms) as p99 from turns where org_id = $1`,
      [org.orgId],
    );
    expect((await usage(org)).total).toMatchObject({
      first_token_ms_p50: waits?.p50,
      first_token_ms_p95: waits?.p95,
      first_token_ms_p99: waits?.p99,
    });
    // The words of the process that was killed are counted, as an estimate.
    const lost = await query<{ completion_tokens: number; prompt_tokens: number }>(
      "select prompt_tokens, completion_tokens from turns where error_reason = 'interrupted' and org_id = $1",
      [org.orgId],
    );
    for (const { prompt_tokens, completion_tokens } of lost) {
      expect(prompt_tokens).toBeGreaterThan(100);
      expect(completion_tokens).toBeGreaterThan(0);
    }
    for (const { month_tokens, month_reserved, ledger } of await counted(nodes.database.adminUrl, org.orgId))
      expect([month_tokens, month_reserved]).toEqual([ledger, 0]);
  }, 300_000);

  it("outlives what it is of, and is asked for a bounded time and number of rows (SEC-5, DAT-1)", async () => {
    const before = (await usage(org)).total;
    const threads = await ok(org.call<{ threads: { id: string }[] }>("GET", "/threads"));
    for (const { id } of threads.threads) await ok(org.call("DELETE", `/threads/${id}?purge=true`));
    const { turns, completion_tokens, first_token_ms_p95 } = before; // messages may still be embedded
    expect((await usage(org)).total).toMatchObject({ turns, completion_tokens, first_token_ms_p95 });
    const older = await usage(org, "day", "&from=2020-01-01&to=2020-12-31");
    expect(older).toMatchObject({
      rows: [],
      truncated: false,
      total: { turns: 0, total_tokens: 0, first_token_ms_p50: null },
    });
    const few = await usage(org, "agent", "&limit=2");
    expect([few.rows.length, few.truncated]).toEqual([2, true]);
    for (const range of [
      "from=2020-01-01&to=2026-01-01",
      "from=2026-01-02&to=2026-01-01",
      "from=yesterday",
      "from=0000-01-01&to=0000-02-01",
      "to=2026-13-01",
    ])
      expect((await org.call<Problem>("GET", `/usage?${range}`)).body.details.reason).toBe("bad_time_range");
  });

  it("takes rows and changes none: a tenant's transaction can forget whose one was, and nothing else (SEC-5, DAT-1)", async () => {
    const client = new pg.Client({ connectionString: nodes.database.url });
    await client.connect();
    const attempt = async (text: string) => {
      await client.query("begin");
      try {
        await client.query(
          "select set_config('role', 'graphyn_tenant', true), set_config('graphyn.org_id', $1, true)",
          [org.orgId],
        );
        return (await client.query(text)).rowCount;
      } finally {
        await client.query("rollback");
      }
    };
    try {
      await expect(attempt("delete from usage_entries")).rejects.toThrow(/permission denied/);
      await expect(attempt("update usage_entries set prompt_tokens = 0")).rejects.toThrow(/permission denied/);
      await expect(attempt("update usage_entries set cost_micros = 0")).rejects.toThrow(/permission denied/);
      await expect(attempt("truncate usage_entries")).rejects.toThrow(/permission denied/);
      await expect(attempt("update usage_entries set user_id = 'user_x' where user_id is not null")).rejects.toThrow(
        /forgets whose/,
      );
      expect(
        await attempt(`update usage_entries set user_id = null, key_id = null where user_id = '${org.userId}'`),
      ).toBeGreaterThan(0);
    } finally {
      await client.end();
    }
    const before = await usage(org, "person");
    await query("update usage_entries set user_id = null where user_id = $1", [org.userId]);
    const after = await usage(org, "person");
    expect(after.total).toMatchObject({ turns: before.total.turns, completion_tokens: before.total.completion_tokens });
    expect(after.rows.some(({ key }) => key === org.userId)).toBe(false);
  });
});
