import { randomBytes } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { newOrganization, newThread, ok, type TestOrganization } from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { ofType, openStream } from "../harness/stream";

/** Entries and size of a history that no socket buffer takes: several pages of the replay. */
const STORED = 650;
const CHARS = 100_000;

describe("a stream that must end", () => {
  const adminKey = randomBytes(8).toString("hex");
  let database: TestDatabase;
  let server: Server;
  let org: TestOrganization;
  beforeAll(async () => {
    database = await createDatabase();
    server = await startServer({ databaseUrl: database.url, adminKey });
    org = await newOrganization({ url: server.url, adminKey, databaseUrl: database.url, adminUrl: database.adminUrl });
  });
  afterAll(async () => {
    await server?.stop();
    await database?.drop();
  });

  async function store(threadId: string): Promise<void> {
    await adminQuery(
      database.adminUrl,
      `with head as (update threads set last_seq = last_seq + $2 where id = $1 returning org_id, last_seq - $2 as base),
       entry as (insert into thread_log (org_id, thread_id, seq, kind) select org_id, $1, base + n, 'message' from head, generate_series(1, $2::int) n)
       insert into messages (org_id, thread_id, seq, id, sender_type, sender_id, sender_name, content)
       select org_id, $1, base + n, 'msg_' || $1 || n, 'user', 'user_x', 'X', repeat('x', $3) from head, generate_series(1, $2::int) n`,
      [threadId, STORED, CHARS],
    );
  }

  it("ends a reader that does not read a long history, and the server goes on (SSE-1)", async () => {
    const id = await newThread(org);
    await store(id);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest(`${org.url}/threads/${id}/stream`, {
        headers: { authorization: `Bearer ${org.apiKey}` },
      });
      request.on("response", (head) => {
        head.pause();
        resolve(head);
      });
      request.on("error", reject);
      request.end();
    });
    // Longer than the replay waits for a slow reader.
    await new Promise((resolve) => setTimeout(resolve, 35_000));
    const health = await fetch(`${org.url}/health`).catch(() => null);
    expect(health?.status, server.output().slice(-2_000)).toBe(200);
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    const cut = new Promise<boolean>((resolve) => {
      response.once("error", () => resolve(true));
      response.once("end", () => resolve(false));
    });
    response.resume();
    expect(await cut).toBe(true);
    expect(bytes).toBeLessThan(STORED * CHARS);
  }, 90_000);

  it("gives a long history whole and in order, though no page of it is (SSE-1)", async () => {
    const id = await newThread(org);
    await store(id);
    const stream = await openStream(org, id);
    const received = await stream.until((all) => all.some(({ event }) => event.type === "caught_up"));
    await stream.close();
    const seqs = ofType(received, "message").map(({ message }) => message.seq);
    expect(seqs).toEqual(Array.from({ length: STORED + 1 }, (_, index) => index + 2));
    expect(ofType(received, "caught_up")[0]?.last_seq).toBe(STORED + 2);
  });

  it("ends the streams of a thread that is erased (THR-1)", async () => {
    const id = await newThread(org);
    const stream = await openStream(org, id);
    await stream.until((received) => received.some(({ event }) => event.type === "caught_up"));
    await ok(org.call("DELETE", `/threads/${id}?purge=true`));
    await stream.until((received) => ofType(received, "error").some(({ reason }) => reason === "thread_erased"));
  });

  it("ends when its API key is revoked (SEC-4)", async () => {
    const id = await newThread(org);
    const key = await ok(org.call<{ id: string; api_key: string }>("POST", "/api-keys", { name: "short-lived" }));
    const stream = await openStream({ ...org, apiKey: key.api_key }, id);
    await stream.until((received) => received.some(({ event }) => event.type === "caught_up"));
    await ok(org.call("DELETE", `/api-keys/${key.id}`));
    await stream.until((received) => ofType(received, "error").some(({ reason }) => reason === "key_invalid"));
  });

  it("keeps nothing of an erased thread's messages for retries (THR-1)", async () => {
    const id = await newThread(org);
    const planted = `planted-${randomBytes(6).toString("hex")}`;
    await ok(org.call("POST", `/threads/${id}/messages`, { content: planted }, { "idempotency-key": planted }));
    await ok(org.call("DELETE", `/threads/${id}?purge=true`));
    const kept = await adminQuery(database.adminUrl, "select 1 from idempotency_keys where response::text like $1", [
      `%${planted}%`,
    ]);
    expect(kept).toEqual([]);
  });
});
