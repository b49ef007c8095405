import { expect, inject, it } from "vitest";
import { OF_A_PERSON } from "../../erasure/tables";
import { adminQuery } from "../harness/database";

it("erasing a person has a decision for every table (SEC-6)", async () => {
  const tables = await adminQuery<{ name: string }>(
    inject("graphyn").adminUrl,
    `select relname::text as name from pg_class
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> 'schema_migrations' order by 1`,
  );
  expect(tables.map(({ name }) => name)).toEqual(Object.keys(OF_A_PERSON).sort());
});
