import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, ok, type TestOrganization } from "../harness/organization";
import {
  type Elsewhere,
  edited,
  exportOf,
  forged,
  importedOrganization,
  importInto,
  linesOf,
  rowsHere,
  spokenOrganization,
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
  [elsewhere, stranger, { org, archive }] = await Promise.all([
    startElsewhere(),
    startElsewhere({ AuditKey: "a-stranger's-audit-key" }),
    spokenOrganization("To be imported"),
  ]);
  lines = linesOf(archive);
}, 120_000);
afterAll(async () => {
  await elsewhere?.stop();
  await stranger?.stop();
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
    const other = forged(edited(lines, "users", (row) => ({ ...row, name: "Eve" })));
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
    const hostile = forged(edited(lines, "members", (row) => ({ ...row, role: "guest" })));
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
