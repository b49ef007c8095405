import pg from "pg";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, newThread, ok, type Problem, type TestOrganization } from "../harness/organization";

interface Found {
  semantic: boolean;
  results: {
    message: { id: string; content: string; thread_id: string };
    score: number;
    found_by: string[];
    thread_title: string;
  }[];
}

describe("search", () => {
  let org: TestOrganization;
  let thread: string;
  beforeAll(async () => {
    org = await newOrganization();
    thread = await newThread(org);
    for (const content of [
      "The invoices for March were paid late.",
      "Our kettle boils water for green tea in the morning.",
      "Deploying on Fridays is a habit we should lose.",
    ]) {
      await ok(org.call("POST", `/threads/${thread}/messages`, { content }));
    }
  });
  const search = (q: string, more = "") => ok(org.call<Found>("GET", `/search?q=${encodeURIComponent(q)}${more}`));

  it("embeds each message by a background job, enqueued with it (DAT-1)", async () => {
    await expect
      .poll(
        async () =>
          (
            await adminQuery<{ n: number }>(
              inject("graphyn").adminUrl,
              "select count(*)::int as n from message_embeddings where org_id = $1",
              [org.orgId],
            )
          )[0]?.n,
        { timeout: 20_000, interval: 200 },
      )
      .toBe(3);
    const accounted = () =>
      adminQuery<{ prompt_tokens: number }>(
        inject("graphyn").adminUrl,
        "select prompt_tokens from model_calls where org_id = $1 and purpose = 'embedding'",
        [org.orgId],
      );
    await expect.poll(async () => (await accounted()).filter(({ prompt_tokens }) => prompt_tokens > 0).length).toBe(3);
  });

  it("finds by words and by meaning together, best first (DAT-1)", async () => {
    const { results, semantic } = await search("green tea");
    expect(semantic).toBe(true);
    expect(results[0]).toMatchObject({
      found_by: ["words", "meaning"],
      thread_title: "A test",
      message: { thread_id: thread },
    });
    expect(results[0]?.message.content).toContain("kettle");
    expect(results.map(({ score }) => score)).toEqual(results.map(({ score }) => score).toSorted((a, b) => b - a));
  });

  it("finds by meaning what the words alone would miss (DAT-1)", async () => {
    const { results } = await search("invoice payment in march");
    expect(results[0]?.message.content).toContain("invoices");
    expect(results[0]?.found_by).toEqual(["meaning"]);
  });

  it("keeps to one thread when asked, and bounds its answer (THR-1)", async () => {
    const other = await newThread(org);
    expect((await search("green tea", `&thread_id=${other}`)).results).toEqual([]);
    expect((await search("the", "&limit=1")).results.length).toBeLessThanOrEqual(1);
  });

  it("takes any text as a query (THR-1)", async () => {
    for (const q of ["'", "a & | ! b", "(((", '"unclosed', "\\", "%"]) {
      expect((await org.call("GET", `/search?q=${encodeURIComponent(q)}`)).status).toBe(200);
    }
  });

  it("refuses a query that only leaves words out: it would read every message (THR-1)", async () => {
    for (const q of ["-tea", "-tea -water", "tea OR -water"]) {
      const { status, body } = await org.call<Problem>("GET", `/search?q=${encodeURIComponent(q)}`);
      expect([q, status, body.details?.reason]).toEqual([q, 400, "bad_query"]);
    }
    expect((await search("tea -march")).results[0]?.message.content).toContain("kettle");
  });

  it("asks the full-text index, with the role that row-level security does not keep from it (DAT-1)", async () => {
    const words = "select id from messages where search @@ (quote_literal(current_org())::tsquery && 'tea')";
    expect(await explain("graphyn_search", org.orgId, words)).toContain("messages_search");
    // The tenant role's policy comes before `@@`. Should this ever fail, search_words has become needless.
    expect(await explain("graphyn_tenant", org.orgId, words)).not.toContain("messages_search");
  });

  it("finds nothing of another organization, nor without one (SEC-1)", async () => {
    const other = await newOrganization();
    expect((await ok(other.call<Found>("GET", "/search?q=tea"))).results).toEqual([]);
    const client = new pg.Client({ connectionString: inject("graphyn").databaseUrl });
    await client.connect();
    try {
      const count = "select count(*)::int as n from search_words('tea', null, 10)";
      await expect(client.query(count)).rejects.toThrow(/permission denied/);
      await client.query("begin");
      for (const [orgId, n] of [
        ["", 0],
        [other.orgId, 0],
        [org.orgId, 1],
      ] as const) {
        await client.query(
          "select set_config('role', 'graphyn_tenant', true), set_config('graphyn.org_id', $1, true)",
          [orgId],
        );
        expect((await client.query(count)).rows).toEqual([{ n }]);
      }
    } finally {
      await client.end();
    }
  });

  it("reads a page of a thread by its primary key (DAT-1)", async () => {
    const plan = await explain(
      "graphyn_tenant",
      org.orgId,
      `select id from messages where org_id = '${org.orgId}' and thread_id = '${thread}' and seq > 10 order by seq limit 50`,
    );
    expect(plan).toContain("messages_pkey");
    expect(plan).not.toContain("Sort");
  });

  it("asks the HNSW index for the nearest (DAT-1)", async () => {
    const vector = `[${Array.from({ length: 1536 }, () => 0.1).join(",")}]`;
    const plan = await explain(
      "graphyn_tenant",
      org.orgId,
      `select message_id from message_embeddings where org_id = '${org.orgId}' order by embedding <=> '${vector}'::vector limit 10`,
    );
    expect(plan).toContain("message_embeddings_hnsw");
  });
});

/** How the query would be run by this role, under its policies, on a table too large to be read whole or sorted. */
async function explain(role: string, orgId: string, sql: string): Promise<string> {
  const client = new pg.Client({ connectionString: inject("graphyn").adminUrl });
  await client.connect();
  try {
    await client.query("select set_config('role', $1, false), set_config('graphyn.org_id', $2, false)", [role, orgId]);
    await client.query("set enable_seqscan = off; set enable_sort = off");
    const { rows } = await client.query<{ "QUERY PLAN": string }>(`explain ${sql}`);
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  } finally {
    await client.end();
  }
}
