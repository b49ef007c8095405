import pg from "pg";
import { describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, newThread, ok } from "../harness/organization";

const { adminUrl, databaseUrl } = inject("graphyn");

/** Every table of the application; graphile-worker's and Encore's own bookkeeping hold no tenant's text. */
const tables = await adminQuery<{
  name: string;
  has_org: boolean;
  enabled: boolean;
  forced: boolean;
  policies: string[];
}>(
  adminUrl,
  `select c.relname as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
     exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped) as has_org,
     array(select p.polname::text from pg_policy p where p.polrelid = c.oid) as policies
   from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'schema_migrations'
   order by 1`,
);

describe("row-level security", () => {
  it("is on and forced, with a tenant policy, on every table (SEC-1, DAT-1)", () => {
    expect(tables.length).toBeGreaterThan(10);
    for (const table of tables) {
      expect(table).toMatchObject({ has_org: true, enabled: true, forced: true });
      expect(table.policies).toContain("tenant");
    }
  });

  it("has org_id lead every primary key, unique constraint and index, but those that cannot hold it (SEC-1)", async () => {
    const others = await adminQuery<{ index: string }>(
      adminUrl,
      `select i.indexrelid::regclass::text as index from pg_index i join pg_class c on c.oid = i.indrelid
         left join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
       where c.relnamespace = 'public'::regnamespace and c.relname <> 'schema_migrations' and a.attname is distinct from 'org_id' order by 1`,
    );
    // A GIN and an HNSW index, and one that is read over all organizations; what each does instead is said beside it in the migration.
    expect(others.map(({ index }) => index)).toEqual([
      "letta_tenants_due",
      "message_embeddings_hnsw",
      "messages_search",
    ]);
  });

  it("ties every row that refers to another to the same organization by its foreign key (SEC-1)", async () => {
    const loose = await adminQuery<{ name: string }>(
      adminUrl,
      `select conrelid::regclass || '.' || conname as name from pg_constraint
       where contype = 'f' and connamespace = 'public'::regnamespace
         and not exists (select from pg_attribute a where a.attrelid = conrelid and a.attname = 'org_id' and a.attnum = any(conkey))`,
    );
    expect(loose).toEqual([]);
  });

  it("shows the application's own login role no row outside a tenant transaction (SEC-1)", async () => {
    const org = await newOrganization();
    await ok(org.call("POST", `/threads/${await newThread(org)}/messages`, { content: "mine" }));
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    try {
      for (const { name } of tables) {
        const { rows } = await client.query(`select count(*)::int as n from ${name}`);
        expect([name, rows[0].n]).toEqual([name, 0]);
      }
      await client.query("begin");
      await client.query("select set_config('role', 'graphyn_tenant', true), set_config('graphyn.org_id', $1, true)", [
        org.orgId,
      ]);
      const own = await client.query("select distinct org_id from messages");
      expect(own.rows).toEqual([{ org_id: org.orgId }]);
      await client.query("rollback");
    } finally {
      await client.end();
    }
  });

  it("lets a tenant transaction write into no other organization (SEC-1)", async () => {
    const [mine, theirs] = await Promise.all([newOrganization(), newOrganization()]);
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    try {
      await client.query("begin");
      await client.query("select set_config('role', 'graphyn_tenant', true), set_config('graphyn.org_id', $1, true)", [
        mine.orgId,
      ]);
      await expect(
        client.query("insert into users (org_id, id, name) values ($1, 'user_x', 'intruder')", [theirs.orgId]),
      ).rejects.toThrow(/row-level security/);
    } finally {
      await client.query("rollback");
      await client.end();
    }
  });

  it("lets the flushing role append only, and only to a turn of the very organization it names (SEC-1)", async () => {
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    const as = async (role: string, sql: string, values: unknown[] = []) => {
      await client.query("begin");
      try {
        await client.query("select set_config('role', $1, true)", [role]);
        return await client.query(sql, values);
      } finally {
        await client.query("rollback");
      }
    };
    try {
      const org = await newOrganization();
      const insert =
        "insert into turn_deltas (org_id, turn_id, start_offset, content) values ($1, 'turn_unknown', 0, 'x')";
      await expect(as("graphyn_flush", insert, [org.orgId])).rejects.toThrow(/foreign key/);
      await expect(as("graphyn_flush", "select * from turn_deltas")).rejects.toThrow(/permission denied/);
      await expect(as("graphyn_flush", "select * from messages")).rejects.toThrow(/permission denied/);
      await expect(as("graphyn_flush", "select error_message from turns")).rejects.toThrow(/permission denied/);
      await expect(as("graphyn_flush", "update turns set state = 'failed'")).rejects.toThrow(/permission denied/);
      await expect(as("graphyn_search", "select 1")).rejects.toThrow(/permission denied to set role/);
      await expect(as("graphyn_dispatch", "select * from messages")).rejects.toThrow(/permission denied/);
      await expect(as("graphyn_dispatch", "select error_message from turns")).rejects.toThrow(/permission denied/);
      await expect(as("graphyn_dispatch", "update turns set state = 'failed'")).rejects.toThrow(/permission denied/);
      // It locks a turn's row, for which it needs a right to change one; the policy lets no change be done with that.
      const policy =
        "select pg_get_expr(polwithcheck, polrelid) as allowed from pg_policy where polname = 'flush_hold'";
      expect(await adminQuery(adminUrl, policy)).toEqual([{ allowed: "false" }]);
    } finally {
      await client.end();
    }
  });
});
