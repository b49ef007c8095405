import { beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, ok, type Problem, type TestOrganization, through } from "../harness/organization";
import { startServer } from "../harness/server";
import { type Elsewhere, exportOf, importInto, linesOf, startElsewhere } from "./archives";

const graphyn = inject("graphyn");

let org: TestOrganization;
beforeAll(async () => {
  org = await newOrganization(graphyn, "To be exported");
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
    let elsewhere: Elsewhere | null = null;
    try {
      elsewhere = await startElsewhere();
      const cut = await exportOf(through(org, hasty.url));
      expect(linesOf(cut).at(-1)).toBe('{"cut":{"reason":"too_slow"}}');
      expect((await importInto(elsewhere, cut)).body.details?.reason).toBe("archive_not_whole");
    } finally {
      await hasty.stop();
      await elsewhere?.stop();
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
