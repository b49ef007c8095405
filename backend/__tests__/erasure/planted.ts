import pg from "pg";
import { inject } from "vitest";

/** Every place of the database, and of Letta's, in which a word stands: all tables of all schemas, whole rows, bytes in hexadecimal too. */
export async function wherePlanted(word: string, within = "%"): Promise<string[]> {
  const found: string[] = [];
  for (const url of [inject("graphyn").adminUrl, at("letta")]) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      const { rows } = await client.query<{ name: string }>(
        `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema') order by 1`,
      );
      if (rows.length < 20) throw new Error(`only ${rows.length} tables in ${client.database}`);
      for (const { name } of rows) {
        const hex = Buffer.from(word).toString("hex");
        const hits = await client.query(
          `select count(*)::int as n from ${name} r where (r::text ilike $1 or r::text ilike $2) and r::text like $3`,
          [`%${word}%`, `%${hex}%`, within],
        );
        if (hits.rows[0].n > 0) found.push(`${client.database === "letta" ? "letta" : "graphyn"}:${name}`);
      }
    } finally {
      await client.end();
    }
  }
  return found;
}

function at(database: string): string {
  const url = new URL(inject("graphyn").adminUrl);
  url.pathname = `/${database}`;
  return url.href;
}
