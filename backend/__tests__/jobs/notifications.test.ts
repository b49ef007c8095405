import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database";
import { type HeldEmbeddings, holdEmbeddings } from "../harness/held-embeddings";
import { newOrganization, newThread, ok } from "../harness/organization";
import { type Server, startServer } from "../harness/server";

const MESSAGES = 3;

const adminKey = randomBytes(8).toString("hex");
let embeddings: HeldEmbeddings;
let database: TestDatabase;
let server: Server;
let client: pg.Client;
let told: number;

beforeAll(async () => {
  embeddings = await holdEmbeddings();
  database = await createDatabase();
  server = await startServer({ databaseUrl: database.url, adminKey, env: { EMBEDDINGS_API_BASE: embeddings.base } });
  client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  told = 0;
  client.on("notification", () => told++);
  await client.query('listen "jobs:insert"');
});
afterAll(async () => {
  await client?.end();
  embeddings?.release();
  await server?.stop();
  embeddings?.close();
  await database?.drop();
});

it("a message's job wakes nobody when it is stored and is found when it is due; a job for now is told (SSE-3, DAT-2)", async () => {
  const { adminUrl } = database;
  const org = await newOrganization({ url: server.url, adminKey, databaseUrl: database.url, adminUrl });
  const id = await newThread(org);
  for (let count = 0; count < MESSAGES; count++)
    await ok(org.call("POST", `/threads/${id}/messages`, { content: `message ${count}` }));
  await expect.poll(() => embeddings.waiting(), { timeout: 20_000 }).toBe(MESSAGES);
  // Notifications come in the order of their commits: with this one, whatever the messages' had sent has come.
  await client.query("begin");
  await client.query("select set_config('graphyn.org_id', $1, true)", [org.orgId]);
  await client.query(`select enqueue_job('leave_threads', '{"user_id": "user_of_no_thread"}')`);
  await client.query("commit");
  await expect.poll(() => told).toBeGreaterThan(0);
  expect(told).toBe(1);
});
