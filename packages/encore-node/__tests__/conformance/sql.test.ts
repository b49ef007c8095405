/** SQL rules next to the recorded ones (val.rs, sqldb.rs of Encore), and that no connection is ever lost. */

import { mkdtempSync, writeFileSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exchange } from "./exchange.js";
import { admin, dropDatabase, FIXTURE, freshDatabaseUrl, type Host, startHost } from "./host.js";

const APP = path.join(FIXTURE, "../neighbours");
const POOL = 2;
let host: Host;
beforeAll(async () => {
  host = await startHost({ app: APP, env: { ENCORE_NODE_DB_POOL: String(POOL), NODE_OPTIONS: "--expose-gc" } });
});
afterAll(async () => {
  await host.stop();
});

const call = async (method: string, p: string, body?: unknown): Promise<unknown> =>
  (await exchange(host.url, { method, path: p, body: body === undefined ? null : JSON.stringify(body) })).body;
const outs = async (p: string): Promise<Record<string, string>> =>
  ((await call("GET", p)) as { out: Record<string, string> }).out;

describe("values", () => {
  it("converts parameters by the type that PostgreSQL asks for (ENC-1)", async () => {
    expect(await outs("/n/sql/params")).toEqual({
      jsonString: '{"v":"string"}',
      jsonNull: '{"v":false}',
      textNull: '{"v":true}',
      stringForInt: "error serializing parameter 0: string not supported for column of type int4",
      fractionForInt: "error serializing parameter 0: number 1.5 is not an i32",
      tooBig: "error serializing parameter 0: out of range integral type conversion attempted",
      numberForText: '{"v":"7"}',
      enum: '{"v":"glad"}',
      badEnum: 'db error: ERROR: invalid input value for enum mood: "bored"',
      uuid: "error serializing parameter 0: unable to parse uuid",
      ints: '{"v":[1,2,3]}',
      quoted: '{"v":["a\\"b","c,d","","NULL"]}',
      jsons: '{"v":[{"a":1},{"b":"x\\"y"}]}',
      bigint: '{"v":"9007199254740993"}',
      numeric: '{"v":"1.5"}',
      nan: expect.stringContaining("Failed to convert js number"),
      count: "expected 1 parameters but got 2",
    });
  });
  it("converts columns as Encore does, and refuses the types that Encore refuses (ENC-1)", async () => {
    expect(await outs("/n/sql/columns")).toEqual({
      float4: '{"v":0.10000000149011612}',
      nan: '{"v":null}',
      time: '{"v":"03:04:05.600"}',
      timestamp: '{"v":"2026-01-02T03:04:05.000Z"}',
      zoned: '{"v":"2026-01-01T21:34:05.123Z"}',
      nested: '{"v":[1,null,3]}',
      jsonBig: '"9007199254740993"',
      interval: "unable to parse column v: unsupported type: interval",
      void: "null",
      twice: '{"v":2}',
      syntax: 'db error: ERROR: syntax error at or near "from"',
      division: "db error: ERROR: division by zero",
      connection: '{"v":3}',
    });
  });
  it("prints errors in full once a statement runs, and a failed transaction leaves nothing (DAT-1)", async () => {
    const got = (await call("POST", "/n/sql/failing")) as { second: string; third: string; rows: number };
    expect(got.second).toContain("E23505");
    expect(got.third).toBe(
      "db error: ERROR: current transaction is aborted, commands ignored until end of transaction block",
    );
    expect(got.rows).toBe(1);
  });
  it("prepares a statement anew when its table has changed (ENC-1)", async () => {
    expect(await call("POST", "/n/sql/altered")).toEqual({ before: "null", after: "null" });
  });
});

describe("connections", () => {
  it("serves more queries than it has connections (ENC-1)", async () => {
    expect(await call("GET", "/n/sql/many")).toEqual({ sum: 1225 });
  });
  it("rolls back at the end of `await using`, however often (ENC-1)", async () => {
    for (let i = 0; i < POOL * 5; i++) await call("POST", "/n/sql/leak", { use: true, collect: false });
    expect(await call("GET", "/n/sql/count")).toEqual({ rows: 1, open: 0 });
  });
  it("takes back the connections of forgotten transactions (ENC-1)", async () => {
    for (let i = 0; i < POOL * 3; i++) await call("POST", "/n/sql/leak", { use: false, collect: true });
    for (let i = 0; i < POOL; i++) await call("POST", "/n/sql/leak", { use: true, collect: false });
    expect(await call("GET", "/n/sql/count")).toEqual({ rows: 1, open: 0 });
  });
  it("goes on when the server cut its connections (ENC-1)", async () => {
    const url = host.databaseUrl as string;
    const cut =
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    await admin((c) => c.query(cut), url);
    const first = await exchange(host.url, { method: "GET", path: "/n/sql/count" });
    const second = await exchange(host.url, { method: "GET", path: "/n/sql/count" });
    expect([first.status, second.status].filter((s) => s === 200).length).toBeGreaterThan(0);
    expect(second.status).toBe(200);
  });
});

describe("migrations", () => {
  it("keeps Encore's own table, and applies each file once (DAT-1)", async () => {
    const url = host.databaseUrl as string;
    const { rows } = await admin((c) => c.query("select version::int, dirty from schema_migrations order by 1"), url);
    expect(rows).toEqual([
      { version: 1, dirty: false },
      { version: 2, dirty: false },
    ]);
    const second = await startHost({ app: APP, databaseUrl: url });
    await second.stop();
    expect(second.output()).not.toContain("migrations applied");
  });

  it("names file and error of a failing migration, keeps nothing of it, and does not serve (DAT-1)", async () => {
    const app = mkdtempSync(path.join(os.tmpdir(), "encore-node-"));
    const url = freshDatabaseUrl();
    try {
      await cp(APP, app, { recursive: true, filter: (f) => !/encore\.gen|\.encore/.test(f) });
      await cp(path.join(FIXTURE, "../../../../node_modules/encore.dev"), path.join(app, "node_modules/encore.dev"), {
        recursive: true,
      });
      writeFileSync(
        path.join(app, "rows/migrations/3_half.up.sql"),
        "create table half (a int);\ninsert into nowhere values (1);\n",
      );
      const broken = await startHost({ app, databaseUrl: url, wait: false });
      const code = await new Promise<number | null>((resolve) => broken.process?.once("exit", resolve));
      expect(code).toBe(1);
      expect(broken.output()).toMatch(
        /3_half\.up\.sql failed and was rolled back: ERROR: relation "nowhere" does not exist \(line 2\)/,
      );
      const { rows } = await admin(
        (c) => c.query("select to_regclass('half') t, (select max(version)::int from schema_migrations) v"),
        url,
      );
      expect(rows).toEqual([{ t: null, v: 2 }]);
    } finally {
      await rm(app, { recursive: true, force: true });
      await dropDatabase(url);
    }
  });

  it("lets several processes start at once on an empty database (DAT-1)", async () => {
    const url = freshDatabaseUrl();
    try {
      const hosts = await Promise.all([1, 2, 3].map(() => startHost({ app: APP, databaseUrl: url })));
      const applied = hosts.filter((h) => h.output().includes("migrations applied"));
      await Promise.all(hosts.map((h) => h.stop()));
      expect(applied.length).toBeLessThanOrEqual(2);
      const { rows } = await admin((c) => c.query("select count(*)::int n from rows"), url);
      expect(rows).toEqual([{ n: 1 }]);
    } finally {
      await dropDatabase(url);
    }
  });
});
