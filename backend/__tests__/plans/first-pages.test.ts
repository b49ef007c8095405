import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database";
import { newOrganization, ok, type TestOrganization } from "../harness/organization";
import { explainTransaction, nodesOf, type PlanNode, showPlan } from "../harness/query-plans";
import { openQueryTap, type QueryTap } from "../harness/query-tap";
import { startServer } from "../harness/server";

const READY_MS_MAX = 60_000;
const ROWS = 3_000;
/** Rows that a page of 50 may read of any table, with the one after it. */
const ROWS_READ_MAX = 51;

let database: TestDatabase;
let server: Awaited<ReturnType<typeof startServer>>;
let tap: QueryTap;
let client: pg.Client;
let org: TestOrganization;

/** An organization that is new and has much, and tables of which PostgreSQL knows nothing: what comes first in every list is in no statistics. */
beforeAll(async () => {
  database = await createDatabase();
  tap = await openQueryTap(database.url);
  server = await startServer({ databaseUrl: tap.url, adminKey: "k" });
  org = await newOrganization({ url: server.url, adminKey: "k", databaseUrl: "", adminUrl: "" });
  const admin = new pg.Client({ connectionString: database.adminUrl });
  await admin.connect();
  for (const table of [
    "threads",
    "agents",
    "agent_versions",
    "users",
    "members",
    "api_keys",
    "limits",
    "audit_entries",
  ])
    await admin.query(`alter table ${table} set (autovacuum_enabled = false)`);
  await admin.query("set session_replication_role = replica"); // no audit of it, no jobs
  const id = (prefix: string, n = "n") => `'${prefix}_' || lpad((${n})::text, 26, '0')`;
  for (const [into, values] of [
    ["users (org_id, id, name)", `${id("user")}, 'Somebody'`],
    ["members (org_id, user_id, role)", `${id("user")}, 'member'`],
    [
      "api_keys (org_id, id, user_id, name, hash, last_four, scopes, expires_at)",
      `${id("key")}, $2, 'key', sha256(n::text::bytea), 'last', '{*}', now()`,
    ],
    ["threads (org_id, id, created_by)", `${id("thread")}, $2`],
    ["agents (org_id, id, name, created_by, current_version_id)", `${id("agent")}, 'Agent', $2, ${id("agver")}`],
    [
      "agent_versions (org_id, id, agent_id, version, name, system_prompt, tools, model, state, letta_id, created_by)",
      `${id("agver")}, ${id("agent")}, '0.1.0', 'Agent', 'x', '{}', 'm', 'ready', 'agent-' || n, $2`,
    ],
    [
      "agent_versions (org_id, id, agent_id, version, name, system_prompt, tools, model, state, letta_id, created_by)",
      `${id("agver", `n + ${ROWS}`)}, ${id("agent", "1")}, '0.2.' || n, 'Agent', 'x', '{}', 'm', 'ready', 'agent-2-' || n, $2`,
    ],
    [
      "limits (org_id, scope, scope_id, tokens_per_month, set_by, minute_at, month_at)",
      `'person', ${id("user")}, 5, $2, now(), now()`,
    ],
    [
      "audit_entries (org_id, seq, at, actor_kind, actor_id, action, target_type, target_id, change, prev_hash, hash, key_id)",
      `n + 100, now(), 'system', 'system', 'thread.created', 'thread', ${id("thread")}, '{}', repeat('0', 64), repeat('0', 64), 'k'`,
    ],
  ] as const)
    await admin.query(
      `insert into ${into} select $1, ${values} from generate_series(1, ${ROWS}) n where $2::text <> ''`,
      [org.orgId, org.userId],
    );
  await admin.end();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
}, READY_MS_MAX);

afterAll(async () => {
  await client?.end();
  await server?.stop();
  await tap?.close();
  await database?.drop();
});

describe("a page of a list, where the statistics know nothing of the organization", () => {
  const idOf = (prefix: string, n: number) => `${prefix}_${String(n).padStart(26, "0")}`;
  const middle = (prefix: string) => idOf(prefix, ROWS / 2);
  it.each([
    ["threads", "/threads", `cursor=${middle("thread")}`],
    ["threads", "/threads?state=active", `cursor=${middle("thread")}`],
    ["agents", "/agents", `cursor=${middle("agent")}`],
    ["agent_versions", `/agents/${idOf("agent", 1)}/versions`, `cursor=${idOf("agver", 1.5 * ROWS)}`],
    ["members", "/people", `cursor=${middle("user")}`],
    ["limits", "/limits", `cursor=person/${middle("user")}`],
    ["audit_entries", "/audit", "cursor=1500"],
    ["audit_entries", "/audit?action=thread.created", "cursor=1500"],
  ])(
    "is read from the index that has it in order, and nothing else is: %s by %s (DAT-1)",
    async (table, path, cursor) => {
      for (const at of [path, `${path}${path.includes("?") ? "&" : "?"}${cursor}`]) {
        tap.taken();
        const page = await ok(org.call("GET", at));
        expect(Object.values(page).find(Array.isArray)).toHaveLength(50);
        const asked = tap
          .taken()
          .filter((transaction) => transaction.some(({ sql }) => new RegExp(`from ${table}\\b`).test(sql)));
        expect(asked.length, at).toBeGreaterThan(0);
        for (const transaction of asked)
          for (const { sql, plan, kept } of await explainTransaction(client, transaction, { withOthers: true })) {
            for (const each of [plan, kept])
              expect(sorts(each), `${at}\n${sql}\n${each && showPlan(each)}`).toEqual([]);
            expect(Math.max(...nodesOf(plan).map(rowsRead)), `${at}\n${sql}\n${showPlan(plan)}`).toBeLessThanOrEqual(
              ROWS_READ_MAX,
            );
          }
      }
    },
  );
});

const sorts = (plan: PlanNode | null) =>
  (plan ? nodesOf(plan) : []).filter(({ "Node Type": type }) => /Sort|Bitmap/.test(type));

function rowsRead(node: PlanNode): number {
  const { "Actual Rows": rows = 0, "Rows Removed by Filter": removed = 0, "Actual Loops": loops = 1 } = node;
  return (rows + removed) * loops;
}
