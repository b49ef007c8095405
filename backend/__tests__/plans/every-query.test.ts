import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { through } from "../harness/organization";
import {
  EXPLAINABLE,
  type Explained,
  explainTransaction,
  nodesOf,
  type PlanNode,
  planUnasked,
  showPlan,
} from "../harness/query-plans";
import { openQueryTap, type Transaction } from "../harness/query-tap";
import { startServer } from "../harness/server";
import { createLargeDatabase, type LargeDatabase } from "./large-database";
import { goOn, liveADay } from "./life";
import { type SourceStatement, statementsInSources } from "./sources";

const READY_MS_MAX = 240_000;
/** Statements of the source that a day asks at least. */
const ASKED_MIN = 80;
/** How many of the occasions on which a statement was asked are looked at. */
const OCCASIONS = 2;
/** Rows that one step of a plan may read of a table that grows, those it leaves out included. */
const ROWS_READ_MAX = 1_000;
/** From here on PostgreSQL reads no table whole that has an index for the question. */
const LARGE_ROWS_MIN = 1_000;
/** Characters of a parameter that are shown. */
const VALUE_CHARS = 40;
const ROLES = ["graphyn_tenant", "graphyn_dispatch", "graphyn_flush"];

/** Tables that do not grow with what people do, and why. */
const STAY_SMALL: Record<string, string> = {
  schema_migrations: "one row",
  migrations: "graphile-worker's own migrations, one row each",
  _private_tasks: "one row for each kind of job",
  _private_job_queues: "one row for each queue, and jobs have none",
  _private_known_crontabs: "one row for each entry of the schedule",
};

/** graphile-worker's look for jobs whose worker was lost hours ago: all of them, once in the first minute and then every eight to ten. */
const LOOKS_FOR_LOST_JOBS = /set locked_at = null, locked_by = null, run_at = greatest/;

/** Queries by a few ids of an organization that are planned for any organization here, and so for an average one, which has few rows. */
const ASKED_BY_IDS = new Set(["realtime/presence.ts", "realtime/watch.ts", "threads/live/channels.ts"]);
/** What looks through all that one organization has on purpose: erasing and importing, once. An index for it would cost every message. */
const ONCE = /^(erasure\/|archive\/|agents\/remake-agent\.ts$)/;

let database: LargeDatabase;
let client: pg.Client;
let transactions: Transaction[];
let readWhole: string[];
let rowsOf: Map<string, number>;
let indexes: Map<string, Index>;
const sources = statementsInSources();

beforeAll(async () => {
  database = await createLargeDatabase();
  const admin = new pg.Client({ connectionString: database.adminUrl });
  await admin.connect();
  try {
    rowsOf = await growingTables(admin);
    indexes = await indexesOf(admin);
    const before = await scans(admin);
    const tap = await openQueryTap(database.url);
    const server = await startServer({ databaseUrl: tap.url, adminKey: database.adminKey });
    try {
      const org = through(database.org, server.url);
      await goOn(org, database.longThread); // first, because only the first occasions are looked at
      await liveADay(org);
    } finally {
      await server.stop();
      await tap.close();
    }
    transactions = tap.taken();
    const after = await scans(admin);
    readWhole = [...after].flatMap(([table, count]) => (count > (before.get(table) ?? 0) ? [table] : []));
  } finally {
    await admin.end();
  }
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
}, READY_MS_MAX);

afterAll(async () => {
  await client?.end();
  await database?.drop();
}, READY_MS_MAX);

describe("every query of the application, on large tables, as the role that asks it", () => {
  it("is answered by an index: those that a day of an organization asks (DAT-1, SEC-1)", async () => {
    const others = transactions.map((statements) => statements.filter(({ sql }) => !LOOKS_FOR_LOST_JOBS.test(sql)));
    const { asked, faults } = await look(others);
    expect(asked.length).toBeGreaterThan(100);
    expect(faults.join("\n\n")).toBe("");
  });

  it("is answered by an index: those that stand in the source and were not asked (DAT-1)", async () => {
    const asked = new Set(transactions.flat().map(({ sql }) => sql));
    const unasked = sources.filter(({ sql }) => !asked.has(sql) && EXPLAINABLE.test(sql));
    expect(sources.filter(({ sql }) => asked.has(sql)).length).toBeGreaterThan(ASKED_MIN); // or a text here is no text there
    expect((await faultsOfUnasked(unasked)).join("\n\n")).toBe("");
  });

  it("reads no such table whole, neither in a function nor for a foreign key (DAT-1)", () => {
    const isLookedThrough = transactions.flat().some(({ sql }) => LOOKS_FOR_LOST_JOBS.test(sql));
    const large = readWhole.filter((table) => (rowsOf.get(table) ?? 0) >= LARGE_ROWS_MIN);
    expect(large.filter((table) => table !== "_private_jobs" || !isLookedThrough)).toEqual([]);
  });

  it("would see a query that nobody has told it of, asked or only written (DAT-1)", async () => {
    const sql = "select id from messages where org_id = $1 and sender_name = $2";
    const [day = []] = transactions.filter((statements) =>
      statements.some((s) => /graphyn_tenant/.test(s.values.join())),
    );
    const settings = day.slice(0, 1);
    const asked = [...settings, { sql, values: [database.org.orgId, "Owner"] }];
    expect((await look([asked])).faults.join()).toMatch(
      /(messages is read whole|\d{4,} rows of messages are read)\nselect id from messages/,
    );
    expect((await faultsOfUnasked([{ where: "here", sql }])).join()).toMatch(
      /here: all that an organization has in messages is read/,
    );
  });

  it("would see that an index is gone (DAT-1)", async () => {
    for (const [without, seen] of [
      [
        "alter table participants drop constraint participants_pkey cascade",
        /participants (is read whole|has no index for it)/,
      ],
      [
        "alter table messages drop constraint messages_org_id_id_key cascade",
        /(messages is read whole|\d{4,} rows of messages are read)\nselect content from messages/,
      ],
    ] as const) {
      await adminQuery(database.adminUrl, without);
      expect((await look(transactions)).faults.join("\n\n")).toMatch(seen);
    }
  });
});

/** What was asked, each statement on a few occasions, with how it is run. */
async function look(transactions: Transaction[]): Promise<{ asked: Explained[]; faults: string[] }> {
  const occasions = new Map<string, number>();
  const asked: Explained[] = [];
  for (const transaction of transactions) {
    const wanted = transaction.filter(({ sql }) => {
      if (/\bset_config\s*\(/i.test(sql)) return true;
      const count = (occasions.get(sql) ?? 0) + 1;
      occasions.set(sql, count);
      return count <= OCCASIONS;
    });
    asked.push(...(await explainTransaction(client, wanted, { withOthers: true })));
  }
  const faults = new Map<string, string>();
  for (const one of asked)
    for (const { fault, plan } of faultsOf(one)) faults.set(fault + one.sql, told(fault, one.sql, plan, one.values));
  return { asked, faults: [...faults.values()] };
}

async function faultsOfUnasked(unasked: SourceStatement[]): Promise<string[]> {
  const faults: string[] = [];
  for (const { where, sql } of unasked) {
    const planned = await planUnasked(client, sql, ROLES, database.org.orgId);
    if (planned === null) {
      faults.push(`${where}: no role may ask this\n${sql}`);
      continue;
    }
    const found = faultsOf({ ...planned, kept: null });
    const file = where.replace(/:\d+$/, "");
    for (const table of ASKED_BY_IDS.has(file) || ONCE.test(file) ? [] : wholeOrganizations(planned.plan))
      found.push({ fault: `all that an organization has in ${table} is read`, plan: planned.plan });
    faults.push(...found.map(({ fault, plan }) => `${where}: ${told(fault, sql, plan)}`));
  }
  return faults;
}

/** Tables of which an index is asked for nothing but the organization, without a limit: where that is much, a statement that was not run reads it all. */
function wholeOrganizations(node: PlanNode, isLimited = false): string[] {
  const index = indexes.get(node["Index Name"] ?? "");
  const condition = node["Index Cond"] ?? "";
  const isOfAll = index?.columns.every(
    (column) => column === "org_id" || !new RegExp(`\\b${column}\\b`).test(condition),
  );
  const isMuch = index && (rowsOf.get(index.table) ?? 0) >= LARGE_ROWS_MIN && index.rows >= LARGE_ROWS_MIN;
  return [
    ...(index && isOfAll && isMuch && !isLimited ? [index.table] : []),
    ...(node.Plans ?? []).flatMap((child) => wholeOrganizations(child, isLimited || node["Node Type"] === "Limit")),
  ];
}

interface Fault {
  fault: string;
  plan: PlanNode;
}

/** A table that is small here (nothing waits in it for long, or nobody has put anything into it) may be read whole, if only it has an index for the question. */
function faultsOf({ plan, kept, forced }: Pick<Explained, "plan" | "kept" | "forced">): Fault[] {
  const found = (root: PlanNode | null, faultAt: (node: PlanNode, table: string) => string | null) =>
    (root ? nodesOf(root) : []).flatMap((node) => {
      const fault = faultAt(node, node["Relation Name"] ?? "");
      return root && fault !== null ? [{ fault, plan: root }] : [];
    });
  const isWhole = ({ "Node Type": type }: PlanNode) => type === "Seq Scan";
  const readWhole = (node: PlanNode, table: string) =>
    isWhole(node) && (rowsOf.get(table) ?? 0) >= LARGE_ROWS_MIN ? `${table} is read whole` : null;
  return [
    ...found(plan, (node, table) => {
      const { "Actual Rows": rows = 0, "Rows Removed by Filter": removed = 0, "Actual Loops": loops = 1 } = node;
      const count = (rows + removed) * loops;
      return (
        readWhole(node, table) ??
        (rowsOf.has(table) && count > ROWS_READ_MAX ? `${count} rows of ${table} are read` : null)
      );
    }),
    ...found(kept, readWhole),
    ...found(forced, (node, table) => (isWhole(node) && rowsOf.has(table) ? `${table} has no index for it` : null)),
  ];
}

function told(fault: string, sql: string, plan: PlanNode, values: (string | null)[] = []): string {
  const given = values.map((value) => (value ?? "null").slice(0, VALUE_CHARS)).join(", ");
  return `${fault}\n${sql.trim()}\n-- ${given}\n${showPlan(plan)}`;
}

/** Tables that grow, with their rows as PostgreSQL counts them. */
async function growingTables(admin: pg.Client): Promise<Map<string, number>> {
  const { rows } = await admin.query<{ name: string; count: number }>(
    `select relname as name, reltuples::int as count from pg_class
     where relkind = 'r' and relnamespace::regnamespace::text in ('public', 'graphile_worker')`,
  );
  return new Map(rows.filter(({ name }) => !(name in STAY_SMALL)).map(({ name, count }) => [name, count]));
}

async function scans(admin: pg.Client): Promise<Map<string, number>> {
  const { rows } = await admin.query<{ relname: string; seq_scan: number }>(
    "select relname, seq_scan::int from pg_stat_user_tables",
  );
  return new Map(rows.map(({ relname, seq_scan }) => [relname, seq_scan]));
}

interface Index {
  table: string;
  columns: string[];
  /** Fewer than its table's, where it holds some rows only. */
  rows: number;
}

async function indexesOf(admin: pg.Client): Promise<Map<string, Index>> {
  const { rows } = await admin.query<Index & { name: string }>(
    `select c.relname as name, t.relname as table, c.reltuples::int as rows,
       array(select attname::text from pg_attribute a where a.attrelid = c.oid order by attnum) as columns
     from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
     where t.relnamespace::regnamespace::text in ('public', 'graphile_worker')`,
  );
  return new Map(rows.map((row) => [row.name, row]));
}
