import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const folder = new URL("./migrations/", import.meta.url);
const files = readdirSync(folder).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
const sql = files.map((file) => readFileSync(new URL(file, folder), "utf8")).join("\n");

describe("migrations", () => {
  it("are named as Encore wants them and numbered without gaps (DEV-2)", () => {
    for (const file of files) expect(file).toMatch(/^\d+_[a-z_]+\.up\.sql$/);
    expect(files.map((file) => Number.parseInt(file, 10))).toEqual(files.map((_, index) => index + 1));
  });

  it("make threads, participants and messages (DEV-2)", () => {
    for (const table of ["threads", "participants", "messages"]) expect(sql).toMatch(`create table ${table} (`);
  });

  it("let no temporary table stand in for ours where a function has more rights than its caller (SEC-1)", () => {
    const paths = [...sql.matchAll(/security definer\s+set search_path = ([^\n]+)/g)].map(([, path]) => path);
    expect(paths).toHaveLength([...sql.matchAll(/security definer/g)].length);
    expect(paths.filter((path) => !path?.endsWith(", pg_temp"))).toEqual([]);
  });

  it("make every table a tenant's (SEC-1, DEV-2)", () => {
    const made = [...sql.matchAll(/^create table (\w+)/gm)].map(([, name]) => name);
    const tenants = [...sql.matchAll(/^call tenant_table\('(\w+)'\)/gm)].map(([, name]) => name);
    expect(made.length).toBeGreaterThan(10);
    expect(made.filter((name) => !tenants.includes(name))).toEqual([]);
  });
});
