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

  it("uses the full-text index and the organization's own rows (DAT-1)", async () => {
    const plan = await adminQuery<{ "QUERY PLAN": string }>(
      inject("graphyn").adminUrl,
      `explain select id from messages where search @@ (quote_literal('${org.orgId}')::tsquery && websearch_to_tsquery('simple', 'tea')) and org_id = '${org.orgId}'`,
    );
    expect(plan.map((row) => row["QUERY PLAN"]).join("\n")).not.toContain("Seq Scan");
  });
});
