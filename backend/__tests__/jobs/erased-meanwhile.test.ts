import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { type HeldEmbeddings, holdEmbeddings } from "../harness/held-embeddings";
import { newOrganization, newThread, ok } from "../harness/organization";
import { type Server, startServer } from "../harness/server";

const adminKey = randomBytes(8).toString("hex");
let embeddings: HeldEmbeddings;
let database: TestDatabase;
let server: Server;

beforeAll(async () => {
  embeddings = await holdEmbeddings();
  database = await createDatabase();
  server = await startServer({
    databaseUrl: database.url,
    adminKey,
    env: { EMBEDDINGS_API_BASE: embeddings.base },
  });
});
afterAll(async () => {
  await server?.stop();
  embeddings?.close();
  await database?.drop();
});

it("a message that is erased while its embedding is made gets none, also one that came from an archive (SEC-6, DAT-2)", async () => {
  const { adminUrl } = database;
  const org = await newOrganization({ url: server.url, adminKey, databaseUrl: database.url, adminUrl });
  const id = await newThread(org);
  for (const content of ["this is erased", "this stays"])
    await ok(org.call("POST", `/threads/${id}/messages`, { content }));
  await expect.poll(() => embeddings.waiting(), { timeout: 20_000 }).toBe(2);
  await adminQuery(
    adminUrl,
    "select graphile_worker.add_job('embed_imported', json_build_object('org_id', $1::text, 'after', ''))",
    [org.orgId],
  );
  await expect.poll(() => embeddings.waiting(), { timeout: 20_000 }).toBe(3);
  await adminQuery(
    adminUrl,
    "update messages set content = '', status = 'erased' where org_id = $1 and content = 'this is erased'",
    [org.orgId],
  );
  embeddings.release();
  const jobs = () =>
    adminQuery(adminUrl, "select id from graphile_worker._private_jobs where payload ->> 'org_id' = $1", [org.orgId]);
  await expect.poll(jobs, { timeout: 30_000 }).toEqual([]);
  const embedded = await adminQuery<{ content: string }>(
    adminUrl,
    `select m.content from message_embeddings e join messages m on (m.org_id, m.id) = (e.org_id, e.message_id) where m.org_id = $1`,
    [org.orgId],
  );
  expect(embedded).toEqual([{ content: "this stays" }]);
});
