import pg from "pg";
import type { Statement, Transaction } from "./query-tap";

/** A node of `explain (format json)`. Figures of the run are there where it was run. */
export interface PlanNode {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  "Index Cond"?: string;
  "Actual Rows"?: number;
  "Actual Loops"?: number;
  "Rows Removed by Filter"?: number;
  "Shared Hit Blocks"?: number;
  "Shared Read Blocks"?: number;
  Plans?: PlanNode[];
}

export interface Explained extends Statement {
  /** The plan for these parameters, with what it met when it was run. */
  plan: PlanNode;
  /** The plan that a connection comes to keep for the statement when it has asked it some times; null where that was not looked at. */
  kept: PlanNode | null;
  /** The plan with whole reads of tables forbidden: one that is still there has no index. Null where that was not looked at. */
  forced: PlanNode | null;
  /** Pages of 8 KiB touched, in memory or not: planning left out, functions and triggers included. Null when the statement could not be run again. */
  pages: number | null;
}

/** How often PostgreSQL makes a plan for the very parameters before it compares that with one for all. */
const PLANS_BEFORE_KEPT = 5;
/** What has a plan. */
export const EXPLAINABLE = /^\s*(select|with|insert|update|delete|merge|values)\b/i;
const SETTING = /\bset_config\s*\(/i;

/**
 * Explains the statements of one transaction as the application would have them run: by the same login role, in one transaction, after the
 * settings (role, organization) that it made. Each is run and undone, so that what is counted is its real work; one that cannot be run twice is planned only.
 * With `inOrder` a statement sees what those before it have done, as it did in life.
 */
export async function explainTransaction(
  client: pg.Client,
  transaction: Transaction,
  { inOrder = false, withOthers = false }: { inOrder?: boolean; withOthers?: boolean } = {},
): Promise<Explained[]> {
  const explained: Explained[] = [];
  await client.query("begin");
  try {
    for (const statement of transaction) {
      if (!EXPLAINABLE.test(statement.sql)) continue;
      if (SETTING.test(statement.sql)) await client.query(statement.sql, statement.values);
      else explained.push(await explainStatement(client, statement, inOrder, withOthers));
    }
    return explained;
  } finally {
    await client.query("rollback");
  }
}

async function explainStatement(
  client: pg.Client,
  { sql, values }: Statement,
  inOrder: boolean,
  withOthers: boolean,
): Promise<Explained> {
  const given = values.length === 0 ? "" : `(${values.map((value) => literal(value)).join(", ")})`;
  const explain = async (options: string) => {
    const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
      `explain (${options}format json) execute explained${given}`,
    );
    const plan = rows[0]?.["QUERY PLAN"][0].Plan;
    if (!plan) throw new Error(`no plan for ${sql}`);
    return plan;
  };
  await client.query("savepoint before");
  await client.query(`prepare explained as ${sql}`);
  await client.query("savepoint prepared");
  let plan: PlanNode | null = null;
  try {
    plan = await explain("analyze, buffers, timing off, ");
    if (!inOrder) await client.query("rollback to savepoint prepared");
  } catch {
    await client.query("rollback to savepoint prepared"); // for example, its row is there by now
  }
  const pages = plan && (plan["Shared Hit Blocks"] ?? 0) + (plan["Shared Read Blocks"] ?? 0);
  plan ??= await explain("");
  let kept: PlanNode | null = null;
  for (let made = 1; withOthers && made <= PLANS_BEFORE_KEPT; made++) kept = await explain("");
  let forced: PlanNode | null = null;
  if (withOthers) {
    await client.query("set local enable_seqscan = off; set local plan_cache_mode = force_custom_plan");
    forced = await explain("");
  }
  if (inOrder && pages !== null) await client.query("release savepoint before");
  else await client.query("rollback to savepoint before");
  await client.query("deallocate explained");
  return { sql, values, plan, kept, forced, pages };
}

function literal(value: string | null): string {
  return value === null ? "null" : pg.escapeLiteral(value);
}

/** A statement that nobody has asked, planned for any parameters by the first of these roles that may; null when none may. */
export async function planUnasked(
  client: pg.Client,
  sql: string,
  roles: readonly string[],
  orgId: string,
): Promise<Pick<Explained, "plan" | "forced"> | null> {
  for (const role of roles) {
    await client.query("begin");
    try {
      await client.query("select set_config('role', $1, true), set_config('graphyn.org_id', $2, true)", [role, orgId]);
      const plans: PlanNode[] = [];
      for (const isFree of ["on", "off"]) {
        await client.query(`set local enable_seqscan = ${isFree}`);
        const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
          `explain (generic_plan, format json) ${sql}`,
        );
        if (rows[0]) plans.push(rows[0]["QUERY PLAN"][0].Plan);
      }
      const [plan, forced] = plans;
      return plan && forced ? { plan, forced } : null;
    } catch (error) {
      if ((error as { code?: string }).code !== "42501") throw new Error(`${String(error)}\n${sql}`); // not permission denied
    } finally {
      await client.query("rollback");
    }
  }
  return null;
}

export function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

/** A plan as people read it, one node a line. */
export function showPlan(plan: PlanNode, depth = 0): string {
  const { "Relation Name": table, "Index Name": index, "Rows Removed by Filter": removed = 0 } = plan;
  const rows = plan["Actual Rows"] === undefined ? "" : ` (${plan["Actual Rows"]} rows, ${plan["Actual Loops"]} times)`;
  const line = [
    `${"  ".repeat(depth)}${plan["Node Type"]}`,
    table && `on ${table}`,
    index && `by ${index}`,
    rows.trim(),
    removed > 0 && `left out ${removed} each time`,
  ];
  return [line.filter(Boolean).join(" "), ...(plan.Plans ?? []).map((child) => showPlan(child, depth + 1))].join("\n");
}
