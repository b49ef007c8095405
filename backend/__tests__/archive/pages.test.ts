import pg from "pg";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { readPages } from "../../archive/read-pages";
import { ARCHIVED } from "../../archive/tables";
import type { Tx } from "../../db/tenant";

let client: pg.Client;
beforeAll(async () => {
  client = new pg.Client({ connectionString: inject("graphyn").adminUrl });
  await client.connect();
});
afterAll(() => client?.end());

/** The statements of a table's first page and of the one after it. */
async function statementsOf(table: string): Promise<{ sql: string; values: unknown[] }[]> {
  const asked: { sql: string; values: unknown[] }[] = [];
  const row = Object.fromEntries(
    Object.entries(ARCHIVED[table]?.columns ?? {}).map(([name, kind]) => [name, /int/.test(kind) ? 1 : "x"]),
  );
  const tx = {
    rawQueryAll: async (sql: string, ...values: unknown[]) => {
      asked.push({ sql, values });
      return asked.length === 1 ? [{ row: JSON.stringify(row) }] : [];
    },
  };
  for await (const page of readPages(tx as unknown as Tx, "org_x", table)) expect(page).toHaveLength(1);
  return asked;
}

it.each(Object.entries(ARCHIVED))(
  "an archive reads %s by its key, from where the page before ended (SEC-7, DAT-1)",
  async (table, { key, columns }) => {
    const statements = await statementsOf(table);
    expect(statements).toHaveLength(key.length === 0 ? 1 : 2);
    const { sql, values } = statements.at(-1) ?? { sql: "", values: [] };
    await client.query("begin");
    try {
      // What a large table makes it choose; this one is small.
      await client.query("set local enable_seqscan = off");
      await client.query("set local enable_bitmapscan = off");
      await client.query("set local enable_sort = off"); // nor are an organization's rows so few that any index would do
      await client.query(
        "select set_config('role', 'graphyn_tenant', true), set_config('graphyn.org_id', 'org_x', true)",
      );
      const { rows } = await client.query<{ "QUERY PLAN": string }>(`explain ${sql}`, values);
      const plan = rows.map((line) => line["QUERY PLAN"]).join("\n");
      expect(plan).toContain(`on ${table} t`);
      expect(plan).not.toContain("Seq Scan");
      const condition = /Index Cond: (.*)/.exec(plan)?.[1] ?? "";
      expect(condition).toContain("org_id =");
      // Texts that are compared by bytes cannot be looked for in an index of the database's own order: an organization has few of these rows.
      if (key[0] && columns[key[0]] !== "text") expect(condition).toMatch(new RegExp(`\\b${key[0]}\\b`));
    } finally {
      await client.query("rollback");
    }
  },
);
