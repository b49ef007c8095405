import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { newOrganization, newThread, ok, type Problem, type TestOrganization } from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { startTcpProxy, type TcpProxy } from "../harness/tcp-proxy";

/** A Graphyn with a proxy before its PostgreSQL, which is taken away and made to stand still. */
describe("a database that", () => {
  const adminKey = randomBytes(8).toString("hex");
  const metricsKey = randomBytes(8).toString("hex");
  let database: TestDatabase;
  let proxy: TcpProxy;
  let server: Server;
  let org: TestOrganization;
  let threadId: string;
  beforeAll(async () => {
    database = await createDatabase();
    proxy = await startTcpProxy(database.url);
    const through = new URL(database.url);
    through.port = new URL(proxy.url).port;
    const env = { MetricsKey: metricsKey, ENCORE_NODE_DB_STATEMENT_TIMEOUT_MS: "5000" };
    server = await startServer({ databaseUrl: through.href, adminKey, env });
    org = await newOrganization({ url: server.url, adminKey, databaseUrl: through.href, adminUrl: database.adminUrl });
    threadId = await newThread(org);
  });
  afterEach(async () => {
    proxy.fault = { kind: "none" };
    proxy.dropConnections();
    await expect
      .poll(async () => (await org.call("GET", `/threads/${threadId}`)).status, { timeout: 30_000 })
      .toBe(200);
  });
  afterAll(async () => {
    await server?.stop();
    await proxy?.close();
    await database?.drop();
  });

  const UNAVAILABLE = {
    status: 503,
    body: { code: "unavailable", details: { reason: "database_unavailable", retryable: true } },
  };
  const post = (content: string) =>
    org.call<Problem>("POST", `/threads/${threadId}/messages`, { content }, { "idempotency-key": content });

  it("is away refuses every request with a reason that says to try again, and nothing is lost by it (THR-5, THR-6)", async () => {
    await proxy.goDown();
    // Whose key is known for the moment, and whose is not: who is asking is a question to the database, too.
    for (const pause of [0, 5_500]) {
      await sleep(pause);
      expect(await post("said while it was away")).toMatchObject(UNAVAILABLE);
      expect(await org.call("GET", `/threads/${threadId}/stream`)).toMatchObject(UNAVAILABLE);
    }
    await proxy.comeBack();
    await expect.poll(async () => (await post("said while it was away")).status, { timeout: 30_000 }).toBe(200);
    const { messages } = await ok(
      org.call<{ messages: { content: string; sender_type: string }[] }>("GET", `/threads/${threadId}/messages`),
    );
    const said = messages.filter(({ sender_type }) => sender_type === "user");
    expect(said.map(({ content }) => content)).toEqual(["said while it was away"]);
  });

  it("stands still refuses who waits for it, too (THR-5)", async () => {
    proxy.fault = { kind: "black_hole" };
    expect(await post("said while it stood still")).toMatchObject(UNAVAILABLE);
    expect(await org.call("GET", `/threads/${threadId}/stream`)).toMatchObject(UNAVAILABLE);
  });

  it("ends in the middle of a statement is one that cannot be reached: the message is stored once when it is sent again (THR-5, THR-6)", async () => {
    const holder = new pg.Client({ connectionString: database.adminUrl });
    await holder.connect();
    await holder.query("begin");
    await holder.query("select from threads where id = $1 for update", [threadId]);
    const waits = post("said while it ended");
    const end = `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query ilike '%threads%'`;
    await expect.poll(async () => (await adminQuery(database.adminUrl, end)).length).toBe(1);
    expect(await waits).toMatchObject(UNAVAILABLE);
    await holder.end();
    await ok(post("said while it ended"));
  });

  it("has gone without a word is asked anew on other connections, by requests and by jobs (THR-5)", async () => {
    proxy.fault = { kind: "black_hole" };
    // Each waits for an answer that will never come: more of them than there are connections.
    await Promise.all(Array.from({ length: 30 }, (_, index) => post(`lost ${index}`)));
    proxy.fault = { kind: "none" }; // for new connections: what was said on the others is lost
    proxy.deafen();
    await expect.poll(async () => (await post("said afterwards")).status, { timeout: 30_000 }).toBe(200);
    await adminQuery(database.adminUrl, "select graphile_worker.add_job('forget_failed_jobs')");
    const waiting = async () =>
      (
        await adminQuery(
          database.adminUrl,
          "select from graphile_worker.jobs where task_identifier = 'forget_failed_jobs'",
        )
      ).length;
    await expect.poll(waiting, { timeout: 40_000 }).toBe(0);
    // One at most stays open: where the worker only listens. What it would have heard there is found by asking every second.
    await expect.poll(() => proxy.deaf(), { timeout: 40_000 }).toBeLessThanOrEqual(1);
  });

  it("has no room left on its disk refuses what would be written with a reason that says to try again, and goes on reading (THR-5)", async () => {
    // In PostgreSQL's own words of then; `npm run chaos` fills a real disk, where it has a small one.
    const full = `raise exception 'could not extend file "base/16386/18678": No space left on device' using errcode = 'disk_full'`;
    await adminQuery(
      database.adminUrl,
      `create function full_disk() returns trigger language plpgsql as $$ begin ${full}; end $$;
       create trigger full_disk before insert on messages execute function full_disk()`,
    );
    expect(await post("said while it was full")).toMatchObject(UNAVAILABLE);
    await ok(org.call("GET", `/threads/${threadId}/messages`));
    await adminQuery(database.adminUrl, "drop function full_disk cascade");
    await ok(post("said while it was full"));
  });

  it.each([
    { asks: "what the thread has", untilForgottenMs: 0 },
    { asks: "whose the key is", untilForgottenMs: 5_500 },
  ])(
    "answers late, $asks, does not keep the stream of a reader who has gone meanwhile (SSE-5)",
    async ({ untilForgottenMs }) => {
      await ok(org.call("GET", `/threads/${threadId}`)); // its key is known for five seconds
      await sleep(untilForgottenMs);
      proxy.fault = { kind: "delay", ms: 1_500 };
      const left = fetch(`${server.url}/threads/${threadId}/stream`, {
        headers: { authorization: `Bearer ${org.apiKey}` },
        signal: AbortSignal.timeout(500),
      });
      await expect(left).rejects.toThrow();
      await sleep(2_000);
      proxy.fault = { kind: "none" };
      await sleep(4_000); // for what was asked to be answered, and the stream to begin
      const streams = async () => {
        const metrics = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${metricsKey}` } });
        return /^graphyn_connections\{transport="sse"\} (\d+)/m.exec(await metrics.text())?.[1];
      };
      await expect.poll(streams, { timeout: 10_000 }).toBe("0");
    },
  );
});
