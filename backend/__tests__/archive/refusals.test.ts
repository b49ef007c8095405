import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import {
  newAgent,
  newOrganization,
  newPerson,
  newThread,
  ok,
  type Problem,
  type TestOrganization,
  through,
} from "../harness/organization";
import { startServer } from "../harness/server";
import {
  type Elsewhere,
  exportOf,
  forged,
  importedOrganization,
  importInto,
  linesOf,
  rowsHere,
  rowsOf,
  say,
  settled,
  startElsewhere,
} from "./archives";

const graphyn = inject("graphyn");

let elsewhere: Elsewhere;
/** Without this server's audit key: it cannot know what another has signed. */
let stranger: Elsewhere;
let org: TestOrganization;
let archive: string;
let lines: string[];

beforeAll(async () => {
  [elsewhere, stranger] = await Promise.all([startElsewhere(), startElsewhere({ AuditKey: "a-stranger's-audit-key" })]);
  org = await newOrganization(graphyn, "To be refused");
  const person = await newPerson(org, "Ada");
  const echo = await newAgent(org, "Echo", "openai-proxy/dev-echo");
  const thread = await newThread(org, [echo], [person]);
  await say(org, thread, "first");
  await say(org, thread, "second");
  await settled(org, graphyn.adminUrl);
  archive = await exportOf(org);
  lines = linesOf(archive);
}, 120_000);
afterAll(async () => {
  await elsewhere?.stop();
  await stranger?.stop();
});

/** The lines with the first row of a table changed. */
function edited(table: string, change: (row: Record<string, unknown>) => object, which = 0): string[] {
  let seen = 0;
  return lines.map((line) => {
    const value = JSON.parse(line) as { table?: string; row: Record<string, unknown> };
    if (value.table !== table || seen++ !== which) return line;
    return canonical({ row: change(value.row), table });
  });
}

/** Canonical for what these tests write: fields in order, at both levels. */
function canonical(value: object): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

const withLine = (line: string, after: (line: string) => boolean) =>
  lines.flatMap((one) => (after(one) ? [one, line] : [one]));
const isRowOf = (table: string) => (line: string) => line.endsWith(`"table":"${table}"}`);
const without = (table: string, which = 0) => {
  let seen = 0;
  return lines.filter((line) => !isRowOf(table)(line) || seen++ !== which);
};
const first = (table: string) => lines.find(isRowOf(table)) ?? "";

/** Each with the reason it is refused for; every one but the first few has the right counts and the right hash. */
const BROKEN: Record<string, () => { archive: string | Buffer; reason: string }> = {
  "is empty": () => ({ archive: "", reason: "not_an_archive" }),
  "is something else": () => ({ archive: '{"a":1}\n', reason: "not_an_archive" }),
  "is no text": () => ({ archive: randomBytes(5_000), reason: expect.stringMatching(/^not_an_archive|archive_/) }),
  "is of a later version": () => ({
    archive: forged([lines[0]?.replace('"version":1', '"version":2') ?? "", ...lines.slice(1)]),
    reason: "archive_version",
  }),
  "has no end": () => ({
    archive: lines
      .slice(0, -1)
      .map((line) => `${line}\n`)
      .join(""),
    reason: "archive_not_whole",
  }),
  "was cut off in the middle of a line": () => ({
    archive: archive.slice(0, archive.length / 2),
    reason: "archive_not_whole",
  }),
  "lacks its last byte": () => ({ archive: archive.slice(0, -1), reason: "archive_not_whole" }),
  "says that it was cut off": () => ({
    archive: `${lines.slice(0, -1).join("\n")}\n{"cut":{"reason":"too_slow"}}\n`,
    reason: "archive_not_whole",
  }),
  "goes on after its end": () => ({ archive: `${archive}${first("messages")}\n`, reason: "archive_bad_row" }),
  "has a byte changed": () => ({ archive: archive.replace('"first"', '"thirst"'), reason: "archive_damaged" }),
  "lacks a row": () => ({ archive: `${without("usage_entries").join("\n")}\n`, reason: "archive_damaged" }),
  "has other counts than rows": () => ({
    archive: forged(lines, (end) => {
      end.counts.messages = 1;
    }),
    reason: "archive_damaged",
  }),
  "has a row twice": () => ({
    archive: forged(withLine(first("messages"), (l) => l === first("messages"))),
    reason: "archive_bad_row",
  }),
  "has a row that names an organization": () => ({
    archive: forged(edited("messages", (row) => ({ ...row, org_id: "org_01h455vb4pex5vsknk084sn02q" }))),
    reason: "archive_bad_row",
  }),
  "has a column of ours that it does not give": () => ({
    archive: forged(edited("turns", (row) => ({ ...row, lease_owner: "me" }))),
    reason: "archive_bad_row",
  }),
  "has rows of a table that no archive has": () => ({
    archive: forged(
      withLine(
        canonical({
          row: { hash: "00", id: "key_01h455vb4pex5vsknk084sn02q", name: "mine", user_id: org.userId },
          table: "api_keys",
        }),
        isRowOf("members"),
      ),
    ),
    reason: "archive_bad_row",
  }),
  "has tables in another order": () => ({
    archive: forged([lines[0] ?? "", ...lines.slice(1, -1).reverse(), lines.at(-1) ?? ""]),
    reason: "archive_bad_row",
  }),
  "has a row that refers to nothing": () => ({
    archive: forged(edited("messages", (row) => ({ ...row, thread_id: "thread_00000000000000000000000000" }))),
    reason: "archive_bad_row",
  }),
  "has an agent whose version is not there": () => ({
    archive: forged(edited("agents", (row) => ({ ...row, current_version_id: "agver_01h455vb4pex5vsknk084sn02q" }))),
    reason: "archive_damaged",
  }),
  "has an id that is none": () => ({
    archive: forged(edited("users", (row) => ({ ...row, id: "user_'; drop table users; --" }))),
    reason: "archive_bad_row",
  }),
  "has a time that is none": () => ({
    archive: forged(edited("users", (row) => ({ ...row, created_at: "2026-99-99T00:00:00.000000Z" }))),
    reason: "archive_bad_row",
  }),
  "has a number that is none": () => ({
    archive: forged(edited("threads", (row) => ({ ...row, last_seq: "1" }))),
    reason: "archive_bad_row",
  }),
  "makes a member what there is not": () => ({
    archive: forged(edited("members", (row) => ({ ...row, role: "god" }))),
    reason: "archive_bad_row",
  }),
  "gives an agent a tool that runs code": () => ({
    archive: forged(edited("agent_versions", (row) => ({ ...row, tools: ["run_code"] }))),
    reason: "archive_bad_row",
  }),
  "has a line that is not canonical": () => ({
    archive: forged(lines.map((line) => (line === first("users") ? line.replace('{"row":', '{ "row":') : line))),
    reason: "archive_bad_row",
  }),
  "has a field twice in a row": () => ({
    archive: forged(
      lines.map((line) => (line === first("users") ? line.replace('"name":', '"name":"x","name":') : line)),
    ),
    reason: "archive_bad_row",
  }),
  "has a text that cannot be stored": () => ({
    archive: forged(edited("users", (row) => ({ ...row, name: "a\u0000b" }))),
    reason: "archive_bad_row",
  }),
  "is nested without end": () => ({
    archive: forged(
      lines.map((line) =>
        line === first("thread_log")
          ? line.replace(/"data":\{[^}]*\}/, `"data":${"[".repeat(200_000)}${"]".repeat(200_000)}`)
          : line,
      ),
    ),
    reason: "archive_bad_row",
  }),
  "has an audit entry edited": () => ({
    archive: forged(edited("audit_entries", (row) => ({ ...row, actor_id: "nobody" }), 1)),
    reason: "archive_audit_broken",
  }),
  "lacks an audit entry": () => ({ archive: forged(without("audit_entries", 1)), reason: "archive_audit_broken" }),
  "has its audit log cut back": () => ({
    archive: forged(without("audit_entries", rowsOf(archive, "audit_entries").length - 1)),
    reason: "archive_audit_broken",
  }),
  "has no audit log any more": () => ({
    archive: forged(lines.filter((line) => !isRowOf("audit_entries")(line))),
    reason: "archive_audit_broken",
  }),
  "says of itself that it is another organization's": () => ({
    archive: forged(
      lines.map((line, n) => (n === 0 ? line.replace(/org_\w+/, "org_01h455vb4pex5vsknk084sn02q") : line)),
    ),
    reason: "archive_audit_broken",
  }),
  "has no organization": () => ({
    archive: forged(lines.filter((line) => !isRowOf("organizations")(line))),
    reason: "archive_damaged",
  }),
};

describe("an archive that", () => {
  it.each(Object.entries(BROKEN))("%s is refused, and nothing of it is left (SEC-1)", async (_, make) => {
    const { archive: broken, reason } = make();
    const { status, body } = await importInto(elsewhere, broken);
    expect({ status, reason: body.details?.reason }).toEqual({ status: 400, reason });
    for (const id of [org.orgId, "org_01h455vb4pex5vsknk084sn02q"])
      expect(await rowsHere(elsewhere.database.adminUrl, id)).toEqual({});
    const [all] = await adminQuery<{ n: number }>(
      elsewhere.database.adminUrl,
      "select count(*)::int as n from organizations",
    );
    expect(all).toEqual({ n: 0 });
  });
});

describe("an import", () => {
  it("is the operator's (SEC-4)", async () => {
    const { status, body } = await importInto({ ...elsewhere, adminKey: "wrong" }, archive);
    expect({ status, reason: body.details?.reason }).toEqual({ status: 403, reason: "wrong_admin_key" });
  });

  it("is done once for an Idempotency-Key, with one answer and one key; without one it is refused (THR-6)", async () => {
    const headers = { "idempotency-key": randomUUID() };
    const one = await importInto(elsewhere, archive, headers);
    expect(one).toMatchObject({ status: 200, replayed: null });
    expect(await importInto(elsewhere, archive, headers)).toEqual({ ...one, replayed: "true" });
    const other = forged(edited("users", (row) => ({ ...row, name: "Eve" })));
    expect(await importInto(elsewhere, other, headers)).toMatchObject({
      status: 409,
      body: { details: { reason: "idempotency_key_reused" } },
    });
    for (const more of [{}, { "idempotency-key": randomUUID() }] as Record<string, string>[]) {
      expect(await importInto(elsewhere, archive, more)).toMatchObject({
        status: 409,
        body: { details: { reason: "organization_exists" } },
      });
    }
    const copy = importedOrganization(elsewhere, one);
    expect(await exportOf(copy)).toBe(archive);
  });

  it("does not touch an organization that is here already (SEC-1)", async () => {
    const before = await rowsHere(graphyn.adminUrl, org.orgId);
    const shared = { server: { ...elsewhere.server, url: graphyn.url }, adminKey: graphyn.adminKey };
    const hostile = forged(edited("members", (row) => ({ ...row, role: "guest" })));
    for (const sent of [archive, hostile]) {
      expect(await importInto(shared, sent)).toMatchObject({
        status: 409,
        body: { details: { reason: "organization_exists" } },
      });
    }
    expect(await rowsHere(graphyn.adminUrl, org.orgId)).toEqual(before);
  });

  it("does not bring back what was erased here (SEC-6)", async () => {
    const gone = await newOrganization(graphyn, "To be erased");
    const kept = await exportOf(gone);
    const { id } = await ok(
      gone.call<{ id: string }>("POST", "/erasure", { organization: true, confirm: "To be erased" }),
    );
    for (let tries = 0; tries < 150; tries++) {
      const [row] = await adminQuery<{ state: string }>(graphyn.adminUrl, "select state from erasures where id = $1", [
        id,
      ]);
      if (row?.state === "done") break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const shared = { server: { ...elsewhere.server, url: graphyn.url }, adminKey: graphyn.adminKey };
    expect(await importInto(shared, kept)).toMatchObject({
      status: 400,
      body: { details: { reason: "organization_erased" } },
    });
    expect(Object.keys(await rowsHere(graphyn.adminUrl, gone.orgId))).toEqual(["erasures"]);
  });

  it("without the audit key of where it comes from keeps the log, which cannot be verified then, and gives the same bytes (SEC-7)", async () => {
    const imported = await importInto(stranger, archive);
    expect(imported).toMatchObject({ status: 200 });
    const copy = importedOrganization(stranger, imported);
    expect(await ok(copy.call("GET", "/audit/verify"))).toMatchObject({
      intact: false,
      broken: { seq: 1, how: "unknown_key" },
    });
    expect(await exportOf(copy)).toBe(archive);
  });
});

describe("an export", () => {
  it("is an owner's, with a scope of its own (SEC-4)", async () => {
    const admin = await ok(org.call<{ id: string }>("POST", "/people", { name: "Admin", role: "admin" }));
    const theirs = await ok(org.call<{ api_key: string }>("POST", "/api-keys", { name: "theirs", user_id: admin.id }));
    const scoped = await ok(
      org.call<{ api_key: string }>("POST", "/api-keys", {
        name: "reads",
        scopes: ["organization:read", "audit:read"],
      }),
    );
    const ask = async (key: string) => {
      const response = await fetch(`${org.url}/export`, { headers: { authorization: `Bearer ${key}` } });
      return { status: response.status, reason: ((await response.json()) as Problem).details.reason };
    };
    expect(await ask(theirs.api_key)).toEqual({ status: 403, reason: "owner_required" });
    expect(await ask(scoped.api_key)).toEqual({ status: 403, reason: "scope_missing" });
  });

  it("says at its end that it was cut off, where it was, and is not taken in (SEC-7)", async () => {
    const hasty = await startServer({
      databaseUrl: graphyn.databaseUrl,
      adminKey: graphyn.adminKey,
      env: { GRAPHYN_ARCHIVE_MS_MAX: "1", ENCORE_NODE_DB_POOL: "6" },
    });
    try {
      const cut = await exportOf(through(org, hasty.url));
      expect(linesOf(cut).at(-1)).toBe('{"cut":{"reason":"too_slow"}}');
      expect((await importInto(stranger, cut)).body.details?.reason).toBe("archive_not_whole");
    } finally {
      await hasty.stop();
    }
  });

  it("waits until an erasure that is under way is done (SEC-6)", async () => {
    await adminQuery(
      graphyn.adminUrl,
      `insert into erasures (org_id, id, person_id, step, requested_by, token_hash, lease_until)
       values ($1, 'erasure_01h455vb4pex5vsknk084sn02q', $2, 'stop', $2, '', now() + interval '1 hour')`,
      [org.orgId, org.userId],
    );
    const response = await fetch(`${org.url}/export`, { headers: { authorization: `Bearer ${org.apiKey}` } });
    expect([response.status, ((await response.json()) as Problem).details.reason]).toEqual([409, "erasure_running"]);
    await adminQuery(graphyn.adminUrl, "delete from erasures where org_id = $1", [org.orgId]);
  });
});
