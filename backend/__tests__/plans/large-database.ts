import pg from "pg";
import { createDatabase, type TestDatabase } from "../harness/database";
import { lengthen, multiply, WHO } from "../harness/multiply";
import { newOrganization, type TestOrganization } from "../harness/organization";
import { startServer } from "../harness/server";
import { liveADay } from "./life";

/** Organizations like the first one, each with its day. */
const ORGANIZATIONS = 300;
/** Times that the threads of the first organization are there. */
const THREAD_COPIES = 100;
/** Times that one of its threads goes on. */
const LENGTH = 300;
const JOBS = 5_000;
const ADMIN_KEY = "key-of-the-plans-test";

export interface LargeDatabase extends TestDatabase {
  org: TestOrganization;
  /** A thread that is much longer than the others. */
  longThread: string;
  adminKey: string;
}

/**
 * A database so full that PostgreSQL reads no table whole that has an index for the question. Everything in it is what Graphyn wrote itself
 * in one day of one organization, copied.
 */
export async function createLargeDatabase(): Promise<LargeDatabase> {
  const database = await createDatabase();
  const server = await startServer({ databaseUrl: database.url, adminKey: ADMIN_KEY });
  const org = await newOrganization({ url: server.url, adminKey: ADMIN_KEY, databaseUrl: "", adminUrl: "" });
  const threadId = await liveADay(org);
  await server.stop();
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  try {
    const { orgId } = org;
    const { rows } = await client.query<{ definition: string }>(
      "select pg_get_indexdef('message_embeddings_hnsw'::regclass) as definition",
    );
    await client.query("drop index message_embeddings_hnsw"); // built at once, it takes a tenth of the time
    await client.query("begin");
    await multiply(client, { orgId, copies: ORGANIZATIONS, keep: [], slot: 0 });
    await multiply(client, { orgId, copies: THREAD_COPIES, keep: WHO, slot: 1 });
    await lengthen(client, { orgId, threadId, copies: LENGTH });
    await client.query("commit");
    await client.query(rows[0]?.definition ?? "");
    await client.query(
      "select graphile_worker.add_job('embed_message', json_build_object('n', n), run_at => now() + interval '1 day') from generate_series(1, $1::int) n",
      [JOBS],
    );
    await client.query("vacuum analyze");
  } finally {
    await client.end();
  }
  return { ...database, org, longThread: threadId, adminKey: ADMIN_KEY };
}
