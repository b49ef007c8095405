import { describe, expect, inject, it } from "vitest";
import { COLUMN_TYPE } from "../../archive/kinds";
import { ARCHIVED, LEFT_OUT } from "../../archive/tables";
import { adminQuery } from "../harness/database";

const { adminUrl } = inject("graphyn");

describe("an archive", () => {
  it("has a decision for every table (SEC-7)", async () => {
    const tables = await adminQuery<{ name: string }>(
      adminUrl,
      `select relname::text as name from pg_class
       where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> 'schema_migrations' order by 1`,
    );
    expect(tables.map(({ name }) => name)).toEqual([...Object.keys(ARCHIVED), ...Object.keys(LEFT_OUT)].sort());
  });

  it.each(Object.entries(ARCHIVED))("has one for every column of %s, and its key and kinds", async (table, spec) => {
    const columns = await adminQuery<{ name: string; type: string; generated: string }>(
      adminUrl,
      `select attname::text as name, format_type(atttypid, null) as type, attgenerated::text as generated
       from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by 1`,
      [`public.${table}`],
    );
    expect(columns.map(({ name }) => name)).toEqual(
      ["org_id", ...Object.keys(spec.columns), ...Object.keys(spec.leftOut ?? {})].sort(),
    );
    for (const [name, kind] of Object.entries(spec.columns)) {
      expect(columns.find((column) => column.name === name)).toMatchObject({ type: COLUMN_TYPE[kind], generated: "" });
    }
    // What is left out is given by the import, or has a default, or may be null.
    const needed = await adminQuery<{ name: string }>(
      adminUrl,
      `select attname::text as name from pg_attribute
       where attrelid = $1::regclass and attnum > 0 and not attisdropped and attnotnull and not atthasdef and attgenerated = ''`,
      [`public.${table}`],
    );
    const given = ["org_id", ...Object.keys(spec.columns), ...Object.keys(spec.set ?? {})];
    expect(needed.map(({ name }) => name).filter((name) => !given.includes(name))).toEqual([]);

    const [key] = await adminQuery<{ columns: string[] }>(
      adminUrl,
      `select array(
         select a.attname::text from unnest(i.indkey::int[]) with ordinality k(attnum, n)
           join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum order by n) as columns
       from pg_index i where i.indrelid = $1::regclass and i.indisprimary`,
      [`public.${table}`],
    );
    expect(key?.columns).toEqual(["org_id", ...spec.key]);
  });
});
