import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { type HeldEmbeddings, holdEmbeddings } from "../harness/held-embeddings";
import { newOrganization, newThread, ok } from "../harness/organization";
import { type Server, startServer } from "../harness/server";

/** As many as a process has (jobs/worker.ts): all of them are lost. */
const WORKERS = 4;

describe("job workers whose connections break while they tell of their jobs", () => {
  const adminKey = randomBytes(8).toString("hex");
  let embeddings: HeldEmbeddings;
  let database: TestDatabase;
  let server: Server;
  beforeAll(async () => {
    embeddings = await holdEmbeddings();
    database = await createDatabase();
    server = await startServer({ databaseUrl: database.url, adminKey, env: { EMBEDDINGS_API_BASE: embeddings.base } });
  });
  afterAll(async () => {
    await server?.stop();
    embeddings?.close();
    await database?.drop();
  });

  it("begin anew, and jobs go on being done (DAT-2)", async () => {
    const { adminUrl } = database;
    const org = await newOrganization({ url: server.url, adminKey, databaseUrl: database.url, adminUrl });
    const id = await newThread(org);
    const say = (content: string) => ok(org.call("POST", `/threads/${id}/messages`, { content }));
    for (let count = 0; count < WORKERS; count++) await say(`the worker ${count} is lost with this`);
    await expect.poll(() => embeddings.waiting(), { timeout: 20_000 }).toBe(WORKERS);

    const client = new pg.Client({ connectionString: adminUrl });
    await client.connect();
    await client.query("begin");
    await client.query("select id from graphile_worker._private_jobs for update");
    embeddings.release();
    const waiting = `select pid from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query ilike '%_private_jobs%'`;
    await expect.poll(async () => (await adminQuery(adminUrl, waiting)).length, { timeout: 20_000 }).toBe(WORKERS);
    await adminQuery(adminUrl, `select pg_terminate_backend(pid) from (${waiting}) as w`);
    await client.query("rollback");
    await client.end();

    await say("this is embedded by those who came after them");
    const embedded = () =>
      adminQuery<{ content: string }>(
        adminUrl,
        `select m.content from message_embeddings e join messages m on (m.org_id, m.id) = (e.org_id, e.message_id)
         where m.content like 'this is embedded%'`,
      );
    await expect.poll(async () => (await embedded()).length, { timeout: 30_000 }).toBe(1);
    expect(server.output()).toContain("a job worker was lost");
  });
});
