import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import type { TestOrganization } from "../harness/organization";
import {
  canonical,
  type Elsewhere,
  edited,
  forged,
  importInto,
  linesOf,
  rowsHere,
  rowsOf,
  spokenOrganization,
  startElsewhere,
} from "./archives";

let elsewhere: Elsewhere;
let org: TestOrganization;
let archive: string;
let lines: string[];

beforeAll(async () => {
  [elsewhere, { org, archive }] = await Promise.all([startElsewhere(), spokenOrganization("To be refused")]);
  lines = linesOf(archive);
}, 120_000);
afterAll(() => elsewhere?.stop());

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
    archive: forged(edited(lines, "messages", (row) => ({ ...row, org_id: "org_01h455vb4pex5vsknk084sn02q" }))),
    reason: "archive_bad_row",
  }),
  "has a column of ours that it does not give": () => ({
    archive: forged(edited(lines, "turns", (row) => ({ ...row, lease_owner: "me" }))),
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
    archive: forged(edited(lines, "messages", (row) => ({ ...row, thread_id: "thread_00000000000000000000000000" }))),
    reason: "archive_bad_row",
  }),
  "has an agent whose version is not there": () => ({
    archive: forged(
      edited(lines, "agents", (row) => ({ ...row, current_version_id: "agver_01h455vb4pex5vsknk084sn02q" })),
    ),
    reason: "archive_damaged",
  }),
  "has an id that is none": () => ({
    archive: forged(edited(lines, "users", (row) => ({ ...row, id: "user_'; drop table users; --" }))),
    reason: "archive_bad_row",
  }),
  "has a time that is none": () => ({
    archive: forged(edited(lines, "users", (row) => ({ ...row, created_at: "2026-99-99T00:00:00.000000Z" }))),
    reason: "archive_bad_row",
  }),
  "has a number that is none": () => ({
    archive: forged(edited(lines, "threads", (row) => ({ ...row, last_seq: "1" }))),
    reason: "archive_bad_row",
  }),
  "makes a member what there is not": () => ({
    archive: forged(edited(lines, "members", (row) => ({ ...row, role: "god" }))),
    reason: "archive_bad_row",
  }),
  "gives an agent a tool that runs code": () => ({
    archive: forged(edited(lines, "agent_versions", (row) => ({ ...row, tools: ["run_code"] }))),
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
    archive: forged(edited(lines, "users", (row) => ({ ...row, name: "a\u0000b" }))),
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
    archive: forged(edited(lines, "audit_entries", (row) => ({ ...row, actor_id: "nobody" }), 1)),
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
