import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { newOrganization, newThread, ok } from "../harness/organization";
import { type Server, startServer } from "../harness/server";

describe("background jobs", () => {
  const adminKey = randomBytes(8).toString("hex");
  let database: TestDatabase;
  let server: Server;
  beforeAll(async () => {
    database = await createDatabase();
    server = await startServer({ databaseUrl: database.url, adminKey, env: { EMBEDDINGS_API_BASE: "" } });
  });
  afterAll(async () => {
    await server?.stop();
    await database?.drop();
  });
  const jobs = (task: string) =>
    adminQuery<{ id: string }>(
      database.adminUrl,
      "select id from graphile_worker.jobs where task_identifier = $1 order by id",
      [task],
    );

  it("are not made for embeddings where none are configured (DAT-1)", async () => {
    const org = await newOrganization({
      url: server.url,
      adminKey,
      databaseUrl: database.url,
      adminUrl: database.adminUrl,
    });
    const id = await newThread(org);
    await ok(org.call("POST", `/threads/${id}/messages`, { content: "The kettle boils." }));
    expect(await jobs("embed_message")).toEqual([]);
    const found = await ok(org.call<{ semantic: boolean; results: unknown[] }>("GET", "/search?q=kettle"));
    expect(found.semantic).toBe(false);
    expect(found.results).toHaveLength(1);
    expect(server.output()).not.toContain("could not be embedded");
  });

  it("that have failed for good are forgotten after two weeks (DAT-1)", async () => {
    const [old, recent] = await adminQuery<{ id: string }>(
      database.adminUrl,
      `select (graphile_worker.add_job('forget_conversation', '{}', max_attempts => 1, run_at => now() + interval '1 day')).id
       from generate_series(1, 2)`,
    );
    await adminQuery(
      database.adminUrl,
      `update graphile_worker._private_jobs set attempts = 1,
         updated_at = now() - case when id = $1 then interval '15 days' else interval '13 days' end
       where id = any($2)`,
      [old?.id, [old?.id, recent?.id]],
    );
    await adminQuery(database.adminUrl, "select graphile_worker.add_job('forget_failed_jobs')");
    await expect.poll(() => jobs("forget_conversation"), { timeout: 20_000 }).toEqual([{ id: recent?.id }]);
  });
});
