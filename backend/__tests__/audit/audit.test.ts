import pg from "pg";
import { describe, expect, inject, it } from "vitest";
import { hashOf, sealOf } from "../../audit/entry";
import { type AuditKey, parseAuditKeys } from "../../audit/parse-audit-keys";
import {
  newOrganization,
  newPerson,
  newThread,
  ok,
  type Problem,
  request,
  type TestOrganization,
} from "../harness/organization";
import { AUDIT_KEY } from "../harness/server";

const graphyn = inject("graphyn");

interface Entry {
  seq: number;
  at: string;
  actor: { kind: string; id: string; user_id: string | null };
  action: string;
  target: { type: string; id: string };
  prev_hash: string;
  hash: string;
}
interface Page {
  entries: Entry[];
  next_cursor: string | null;
}
interface Verdict {
  intact: boolean;
  broken: { seq: number; how: string } | null;
  from_seq: number;
  to_seq: number;
  next_cursor: string | null;
  head: string | null;
}

const verify = (org: TestOrganization, query = "") => ok(org.call<Verdict>("GET", `/audit/verify${query}`));

/** An organization with a chain of as many entries. */
async function chained(entries: number): Promise<TestOrganization> {
  const org = await newOrganization();
  for (let n = 1; n < entries; n++) await newPerson(org, `Person ${n}`);
  return org;
}

/** Runs statements as whoever has the database and its superuser, past every trigger and policy. */
async function tamper(...statements: [sql: string, values?: unknown[]][]): Promise<void> {
  const client = new pg.Client({ connectionString: graphyn.adminUrl });
  await client.connect();
  try {
    await client.query("set session_replication_role = replica");
    for (const [sql, values] of statements) await client.query(sql, values);
  } finally {
    await client.end();
  }
}

describe("the audit log's chain", () => {
  it("is gapless, in order, and links each entry to the one before (SEC-6)", async () => {
    const org = await newOrganization();
    await Promise.all(Array.from({ length: 12 }, (_, n) => newPerson(org, `At once ${n}`)));
    const { entries } = await ok(org.call<Page>("GET", "/audit?limit=200"));
    const chain = entries.reverse();
    expect(chain.map(({ seq }) => seq)).toEqual(Array.from({ length: 13 }, (_, n) => n + 1));
    for (const [n, { prev_hash, at }] of chain.entries()) {
      expect(prev_hash).toBe(chain[n - 1]?.hash ?? "");
      expect(at >= (chain[n - 1]?.at ?? "")).toBe(true);
    }
    const verdict = await verify(org);
    expect(verdict).toMatchObject({ intact: true, broken: null, from_seq: 1, to_seq: 13, next_cursor: null });
    expect(verdict.head).toBe(`13:${chain.at(-1)?.hash}`);
  });

  it("shows an entry that was edited in the database (SEC-6)", async () => {
    const org = await chained(5);
    await tamper(["update audit_entries set target_id = 'user_other' where org_id = $1 and seq = 3", [org.orgId]]);
    expect(await verify(org)).toMatchObject({ intact: false, broken: { seq: 3, how: "edited" }, head: null });
  });

  it("shows entries that were deleted: in the middle, at the end, with the end rewritten, and all (SEC-6)", async () => {
    const middle = await chained(5);
    await tamper(["delete from audit_entries where org_id = $1 and seq = 2", [middle.orgId]]);
    expect((await verify(middle)).broken).toEqual({ seq: 2, how: "missing" });

    const end = await chained(5);
    await tamper(["delete from audit_entries where org_id = $1 and seq > 3", [end.orgId]]);
    expect((await verify(end)).broken).toEqual({ seq: 4, how: "missing" });

    const rewritten = await chained(5);
    await tamper(
      ["delete from audit_entries where org_id = $1 and seq > 3", [rewritten.orgId]],
      [
        `update audit_heads h set seq = e.seq, hash = e.hash from audit_entries e
         where h.org_id = $1 and e.org_id = $1 and e.seq = 3`,
        [rewritten.orgId],
      ],
    );
    expect((await verify(rewritten)).broken).toEqual({ seq: 3, how: "head" });

    const all = await chained(3);
    await tamper(
      ["delete from audit_entries where org_id = $1", [all.orgId]],
      ["delete from audit_heads where org_id = $1", [all.orgId]],
    );
    expect((await verify(all)).broken).toEqual({ seq: 1, how: "missing" });
  });

  it("shows entries that changed places (SEC-6)", async () => {
    const org = await chained(5);
    await tamper(
      ["update audit_entries set seq = 1000 where org_id = $1 and seq = 2", [org.orgId]],
      ["update audit_entries set seq = 2 where org_id = $1 and seq = 4", [org.orgId]],
      ["update audit_entries set seq = 4 where org_id = $1 and seq = 1000", [org.orgId]],
    );
    expect((await verify(org)).broken).toEqual({ seq: 2, how: "reordered" });
  });

  it("shows a chain that was computed anew without the key (SEC-6)", async () => {
    const org = await chained(4);
    await tamper(
      ["update audit_entries set action = 'member.removed' where org_id = $1 and seq = 2", [org.orgId]],
      [
        `do $$ declare e record; prev text := ''; begin
           for e in select * from audit_entries where org_id = '${org.orgId}' order by seq loop
             update audit_entries set prev_hash = prev, hash = encode(sha256(convert_to(prev || e.action || e.change, 'UTF8')), 'hex')
             where org_id = e.org_id and seq = e.seq returning hash into prev;
           end loop;
           update audit_heads set hash = prev, seal = prev where org_id = '${org.orgId}';
         end $$`,
      ],
    );
    expect((await verify(org)).broken).toEqual({ seq: 1, how: "edited" });
  });

  it("shows, by an end that was kept elsewhere, a log that was put back to an earlier state and went on (SEC-6)", async () => {
    const org = await chained(3);
    const copy = await rowsOf(org.orgId);
    await newPerson(org, "Whose coming is to be hidden");
    const { head } = await verify(org);
    await tamper(
      ["delete from audit_entries where org_id = $1 and seq > 3", [org.orgId]],
      ["update audit_heads set seq = $2, hash = $3, seal = $4 where org_id = $1", [org.orgId, ...copy]],
    );
    expect(await verify(org)).toMatchObject({ intact: true }); // the signed end is a genuine one, of before
    expect((await verify(org, `?head=${head}`)).broken).toEqual({ seq: 4, how: "missing" });
    await newPerson(org, "Who comes instead");
    expect((await verify(org, `?head=${head}`)).broken).toEqual({ seq: 4, how: "replaced" });
  });

  it("is checked in bounded pieces, each of which goes on where the last one ended (SEC-6)", async () => {
    const org = await chained(1);
    await lengthen(org.orgId, 4_500);
    const first = await verify(org);
    expect(first).toMatchObject({ intact: true, from_seq: 1, to_seq: 2_000, next_cursor: "2000", head: null });
    const second = await verify(org, "?cursor=2000");
    expect(second).toMatchObject({ intact: true, from_seq: 2_001, to_seq: 4_000, next_cursor: "4000" });
    const third = await verify(org, "?cursor=4000");
    expect(third).toMatchObject({ intact: true, from_seq: 4_001, to_seq: 4_500, next_cursor: null });
    expect(third.head).toMatch(/^4500:/);

    await tamper(["delete from audit_entries where org_id = $1 and seq in (2001, 4000)", [org.orgId]]);
    expect((await verify(org, "?cursor=2000")).broken).toEqual({ seq: 2_001, how: "missing" });
    expect((await verify(org, "?cursor=4000")).broken).toEqual({ seq: 4_000, how: "missing" });
  });

  it("cannot be changed, deleted, emptied or written past by the tenant's role, nor by the tables' owner (SEC-6)", async () => {
    const org = await chained(3);
    const client = new pg.Client({ connectionString: graphyn.databaseUrl });
    await client.connect();
    const attempt = async (sql: string, role = "graphyn_tenant") => {
      await client.query("begin");
      try {
        if (role) await client.query("select set_config('role', $1, true)", [role]);
        await client.query("select set_config('graphyn.org_id', $1, true)", [org.orgId]);
        return await client.query(sql);
      } finally {
        await client.query("rollback");
      }
    };
    try {
      for (const sql of [
        "update audit_entries set action = 'member.removed'",
        "delete from audit_entries",
        "truncate audit_entries",
        `insert into audit_entries select org_id, 4, at, actor_kind, actor_id, actor_user, action, target_type, target_id, change, prev_hash, hash, key_id
         from audit_entries where seq = 3`,
        "update audit_heads set seq = 2",
        "delete from audit_heads",
      ])
        await expect(attempt(sql), sql).rejects.toThrow(/permission denied/);
      await expect(attempt("select 1", "graphyn_audit")).rejects.toThrow(/permission denied to set role/);
      const gap = "select append_audit(9, now(), 'user', 'u', null, 'a.b', 't', 'i', '{}', 'x', 'y', 'k', 's')";
      await expect(attempt(gap)).rejects.toThrow(/must follow the end of its chain/);
      await expect(attempt("truncate audit_entries", "")).rejects.toThrow(/never changed/);
    } finally {
      await client.end();
    }
    expect(await verify(org)).toMatchObject({ intact: true, to_seq: 3 });
  });
});

/** As many entries as it takes, as the server writes them. */
async function lengthen(orgId: string, length: number): Promise<void> {
  const [key] = parseAuditKeys(AUDIT_KEY) as [AuditKey];
  const client = new pg.Client({ connectionString: graphyn.adminUrl });
  await client.connect();
  try {
    const { rows } = await client.query("select hash from audit_entries where org_id = $1", [orgId]);
    let prev_hash: string = rows[0].hash;
    const made = [];
    for (let seq = rows.length + 1; seq <= length; seq++) {
      const entry = {
        ...{ seq, at: new Date(), actor_kind: "system" as const, actor_id: "system", actor_user: null },
        ...{ action: "member.added", target_type: "person", target_id: `user_${seq}`, change: "{}", prev_hash },
      };
      prev_hash = hashOf(key, orgId, entry);
      made.push({ ...entry, org_id: orgId, hash: prev_hash, key_id: key.id });
    }
    await client.query("insert into audit_entries select * from jsonb_populate_recordset(null::audit_entries, $1)", [
      JSON.stringify(made),
    ]);
    const seal = sealOf(key, orgId, { seq: length, hash: prev_hash });
    const head = [orgId, length, prev_hash, key.id, seal];
    await client.query("update audit_heads set seq = $2, hash = $3, key_id = $4, seal = $5 where org_id = $1", head);
  } finally {
    await client.end();
  }
}

async function rowsOf(orgId: string): Promise<[number, string, string]> {
  const client = new pg.Client({ connectionString: graphyn.adminUrl });
  await client.connect();
  try {
    const { rows } = await client.query("select seq::int as seq, hash, seal from audit_heads where org_id = $1", [
      orgId,
    ]);
    return [rows[0].seq, rows[0].hash, rows[0].seal];
  } finally {
    await client.end();
  }
}

describe("GET /audit", () => {
  it("shows the newest first, by pages, and by action, actor, target and time (SEC-6)", async () => {
    const org = await newOrganization();
    const ana = await newPerson(org, "Ana");
    const thread = await newThread(org, [], [ana]);
    const between = new Date().toISOString();
    await ok(org.call("PATCH", `/threads/${thread}`, { title: "New" }));

    const first = await ok(org.call<Page>("GET", "/audit?limit=3"));
    const rest = await ok(org.call<Page>("GET", `/audit?limit=3&cursor=${first.next_cursor}`));
    const actions = [...first.entries, ...rest.entries].map(({ action }) => action);
    expect(actions).toEqual(["thread.changed", "thread.created", "member.added", "organization.created"]);
    expect(rest.next_cursor).toBeNull();

    const by = async (query: string) =>
      (await ok(org.call<Page>("GET", `/audit?${query}`))).entries.map(({ action }) => action);
    expect(await by("action=member.added")).toEqual(["member.added"]);
    expect(await by("actor=operator")).toEqual(["organization.created"]);
    expect(await by(`actor=${org.userId}`)).toEqual(["thread.changed", "thread.created", "member.added"]);
    expect(await by(`target=${thread}`)).toEqual(["thread.changed", "thread.created"]);
    expect(await by(`since=${between}`)).toEqual(["thread.changed"]);
    expect(await by(`until=${between}&target=${thread}`)).toEqual(["thread.created"]);
  });

  it("refuses a cursor, a time and an end that are none (SEC-6)", async () => {
    const org = await newOrganization();
    const reason = async (path: string) => (await org.call<Problem>("GET", path)).body.details.reason;
    expect(await reason("/audit?cursor=x")).toBe("bad_cursor");
    expect(await reason("/audit?since=yesterday")).toBe("bad_time");
    expect(await reason("/audit?since=0000-01-01")).toBe("bad_time");
    expect(await reason("/audit?limit=1.5")).toBe("not_a_whole_number");
    expect(await reason("/audit/verify?cursor=-1")).toBe("bad_cursor");
    expect(await reason("/audit/verify?head=1")).toBe("bad_audit_head");
  });

  it("is for owners and admins, of their own organization (SEC-6, SEC-1)", async () => {
    const [org, other] = await Promise.all([newOrganization(), newOrganization()]);
    await newPerson(other, "Theirs");
    const { entries } = await ok(org.call<Page>("GET", "/audit"));
    expect(entries.map(({ action }) => action)).toEqual(["organization.created"]);
    for (const path of ["/audit", "/audit/verify"]) {
      expect((await request(graphyn.url, "GET", path)).status).toBe(401);
    }
  });
});
