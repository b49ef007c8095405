import pg from "pg";
import { expect, inject, it } from "vitest";
import { newAgent, newOrganization, newThread, ok } from "../harness/organization";
import { nodesOf, type PlanNode } from "../harness/query-plans";

const TURNS = 20_000;

it("counts an exchange by an index, as the role that runs it, in a thread of any length (AGT-2, SEC-1)", async () => {
  const org = await newOrganization();
  const agent = await newAgent(org, "Ann");
  const id = await newThread(org, [agent]);
  const made = await ok(org.call<{ current_version: { id: string } }>("GET", `/agents/${agent}`));
  const client = new pg.Client({ connectionString: inject("graphyn").adminUrl });
  await client.connect();
  try {
    await client.query("begin");
    await client.query("set local session_replication_role = replica"); // only the turns matter, not what they hang on
    await client.query(
      `insert into turns (org_id, id, thread_id, agent_id, agent_version_id, message_seq, state, lease_until, ended_at)
       select $1, 'turn_' || lpad(g::text, 8, '0'), $2, $3, $4, g, 'completed', now(), now() from generate_series(1, $5::int) g`,
      [org.orgId, id, agent, made.current_version.id, TURNS],
    );
    await client.query("analyze turns");
    await client.query("set local role graphyn_tenant");
    await client.query("select set_config('graphyn.org_id', $1, true)", [org.orgId]);
    // What hand-on.ts asks.
    const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
      `explain (format json) select count(*), sum(coalesce(prompt_tokens, 0)) from turns
       where org_id = '${org.orgId}' and thread_id = '${id}' and exchange = ${TURNS / 2}`,
    );
    const plan = rows[0]?.["QUERY PLAN"][0].Plan;
    if (!plan) throw new Error("no plan");
    expect(nodesOf(plan).map((node) => node["Node Type"])).not.toContain("Seq Scan");
    expect(nodesOf(plan).map((node) => node["Index Name"])).toContain("turns_of_exchange");
  } finally {
    await client.query("rollback");
    await client.end();
  }
});
