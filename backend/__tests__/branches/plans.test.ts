import pg from "pg";
import { describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, newThread } from "../harness/organization";
import { nodesOf, type PlanNode } from "../harness/query-plans";
import { branchesOf } from "./branches";

const MESSAGES = 20_000;
/** Pages of 8 KiB. Reading what a branch has left out would take hundreds. */
const PAGES_MAX = 40;

describe("reading a branch", () => {
  it("reads no message that the branch has left out, however many they are (THR-7, DAT-1)", async () => {
    const org = await newOrganization();
    const on = branchesOf(org);
    const id = await newThread(org);
    const first = await on.say(id, "first");
    const { adminUrl, databaseUrl } = inject("graphyn");
    await adminQuery(
      adminUrl,
      `with head as (update threads set last_seq = last_seq + $2::int where id = $1 returning org_id, id, last_seq - $2::int as base),
       entry as (insert into thread_log (org_id, thread_id, seq, kind) select org_id, id, base + n, 'message' from head, generate_series(1, $2::int) n)
       insert into messages (org_id, thread_id, seq, id, sender_type, sender_id, sender_name, content)
       select org_id, id, base + n, 'msg_' || right(id, 12) || n, 'user', 'user_x', 'Bulk', 'line ' || n || repeat(' of a usual message', 10)
       from head, generate_series(1, $2::int) n`,
      [id, MESSAGES],
    );
    await on.rewind(id, first.message.seq);
    await on.say(id, "and on", { mentions: [] });
    await adminQuery(adminUrl, "vacuum analyze messages");

    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    const explain = async (sql: string) => {
      await client.query("begin");
      await client.query("select set_config('role', 'graphyn_tenant', true), set_config('graphyn.org_id', $1, true)", [
        org.orgId,
      ]);
      const { rows } = await client.query(`explain (analyze, buffers, format json) ${sql}`, [org.orgId, id]);
      await client.query("rollback");
      return rows[0]["QUERY PLAN"][0].Plan as PlanNode;
    };
    try {
      const mine = "org_id = $1 and thread_id = $2";
      const forms = {
        "a page, from the beginning": `select m.* from branch_spans($1, $2, 2) s cross join lateral (
            select id, seq from messages where ${mine} and seq >= greatest(s.lo, 1) and seq <= s.hi order by seq limit 51) m order by m.seq limit 51`,
        "a page, from the end": `select m.* from branch_spans($1, $2, 2) s cross join lateral (
            select id, seq from messages where ${mine} and seq >= s.lo and seq <= least(s.hi, 9007199254740990) order by seq desc limit 51) m
            order by m.seq desc limit 51`,
        "whether anything was said after": `select exists (select from branch_spans($1, $2, 2) s cross join lateral (
            select from messages where ${mine} and seq >= greatest(s.lo, 999999999) and seq <= s.hi order by seq limit 1) m)`,
      };
      for (const [name, sql] of Object.entries(forms)) {
        const plan = await explain(sql);
        const pages = (plan["Shared Hit Blocks"] ?? 0) + (plan["Shared Read Blocks"] ?? 0);
        expect([name, pages <= PAGES_MAX ? "few pages" : `${pages} pages`]).toEqual([name, "few pages"]);
        expect(
          nodesOf(plan).filter((node) => node["Node Type"] === "Seq Scan" && node["Relation Name"] === "messages"),
        ).toEqual([]);
      }
    } finally {
      await client.end();
    }
  });
});
