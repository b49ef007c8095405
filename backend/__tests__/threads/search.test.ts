import pg from "pg";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, newThread, ok, type TestOrganization } from "../harness/organization";

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

  it("asks the full-text index for the organization's own rows (DAT-1)", async () => {
    const plan = await explain(`
      select id from messages
      where search @@ (quote_literal('${org.orgId}')::tsquery && websearch_to_tsquery('simple', 'tea')) and org_id = '${org.orgId}'`);
    expect(plan).toContain("messages_search");
    expect(plan).not.toContain("Seq Scan");
  });

  it("reads a page of a thread by its primary key (DAT-1)", async () => {
    const plan = await explain(
      `select id from messages where org_id = '${org.orgId}' and thread_id = '${thread}' and seq > 10 order by seq limit 50`,
    );
    expect(plan).toContain("messages_pkey");
    expect(plan).not.toContain("Sort");
  });

  it("asks the HNSW index for the nearest (DAT-1)", async () => {
    const vector = `[${Array.from({ length: 1536 }, () => 0.1).join(",")}]`;
    const plan = await explain(
      `select message_id from message_embeddings order by embedding <=> '${vector}'::vector limit 10`,
    );
    expect(plan).toContain("message_embeddings_hnsw");
  });
});

/** How the query would be run on a table too large to be read whole. */
async function explain(sql: string): Promise<string> {
  const client = new pg.Client({ connectionString: inject("graphyn").adminUrl });
  await client.connect();
  try {
    await client.query("set enable_seqscan = off");
    const { rows } = await client.query<{ "QUERY PLAN": string }>(`explain ${sql}`);
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  } finally {
    await client.end();
  }
}
