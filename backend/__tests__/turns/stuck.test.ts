import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { newAgent, newOrganization, newThread, ok, type TestOrganization } from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { ofType, openStream, turnsEnded } from "../harness/stream";

/** Within which no turn may be left that nobody works on, plus the answer itself. */
const FREED_MS_MAX = 30_000;

describe("a turn that cannot go on", () => {
  const adminKey = randomBytes(8).toString("hex");
  let database: TestDatabase;
  let server: Server;
  let org: TestOrganization;
  beforeAll(async () => {
    database = await createDatabase();
    server = await startServer({ databaseUrl: database.url, adminKey });
    org = await newOrganization({ url: server.url, adminKey, databaseUrl: database.url, adminUrl: database.adminUrl });
    await adminQuery(
      database.adminUrl,
      "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused by the test'; end $$",
    );
  });
  afterAll(async () => {
    await server?.stop();
    await database?.drop();
  });
  const say = (id: string, content: string) =>
    ok(org.call<{ turns: { id: string }[] }>("POST", `/threads/${id}/messages`, { content }));
  const refuse = (state: string) =>
    adminQuery(
      database.adminUrl,
      `create trigger refuse_state before update on turns for each row when (new.state = '${state}') execute function refuse()`,
    );
  const allow = () => adminQuery(database.adminUrl, "drop trigger refuse_state on turns");
  const states = async (id: string) =>
    (
      await adminQuery<{ state: string }>(
        database.adminUrl,
        "select state from turns where thread_id = $1 order by id",
        [id],
      )
    ).map((turn) => turn.state);

  it("is begun later when its start could not be stored, and the server lives on (LET-7, THR-3)", async () => {
    const id = await newThread(org, [await newAgent(org, "Late")]);
    await refuse("running");
    await say(id, "first").finally(() => new Promise((resolve) => setTimeout(resolve, 1_000)));
    await say(id, "second");
    await allow();
    await expect.poll(() => states(id), { timeout: FREED_MS_MAX, interval: 200 }).toEqual(["completed", "completed"]);
    expect((await fetch(`${org.url}/health`)).status).toBe(200);
  });

  it("is not given up while its message is being stored, however long that takes (SSE-6, THR-3)", async () => {
    const id = await newThread(org, [await newAgent(org, "Patient")]);
    // Longer than leases are looked after; Letta is asked meanwhile.
    await adminQuery(
      database.adminUrl,
      `create function take_long() returns trigger language plpgsql as $$ begin perform pg_sleep(5); return new; end $$;
       create trigger take_long before insert on messages for each row when (new.sender_type = 'user') execute function take_long()`,
    );
    try {
      await say(id, "first");
    } finally {
      await adminQuery(database.adminUrl, "drop trigger take_long on messages");
    }
    await expect.poll(() => states(id), { timeout: FREED_MS_MAX, interval: 200 }).toEqual(["completed"]);
  });

  it("is ended with its words kept when its end could not be stored; who waits behind it is answered (THR-3)", async () => {
    const id = await newThread(org, [await newAgent(org, "Endless")]);
    await refuse("completed");
    await say(id, "first");
    await say(id, "second");
    await expect.poll(() => states(id), { timeout: FREED_MS_MAX, interval: 200 }).toEqual(["failed", "running"]);
    await allow();
    await expect.poll(() => states(id), { timeout: FREED_MS_MAX, interval: 200 }).toEqual(["failed", "completed"]);
    const { messages } = await ok(
      org.call<{ messages: { status: string; content: string }[] }>("GET", `/threads/${id}/messages`),
    );
    expect(messages.find((message) => message.status === "failed")?.content.length).toBeGreaterThan(0);
  }, 90_000);

  it("does not keep the words of others out of the database when its thread is erased (THR-3, SEC-1)", async () => {
    const [gone, stays] = await Promise.all(
      ["Gone", "Stays"].map(async (name) => newThread(org, [await newAgent(org, name, "openai-proxy/dev-n200-r20")])),
    );
    const streams = await Promise.all([openStream(org, gone ?? ""), openStream(org, stays ?? "")]);
    const [, { turns }] = [await say(gone ?? "", "talk"), await say(stays ?? "", "talk")];
    await Promise.all(streams.map((stream) => stream.until((got) => ofType(got, "ai_chunk").length > 3)));
    // As another process does it, which cannot stop the turns of this one.
    await adminQuery(database.adminUrl, "delete from threads where id = $1", [gone]);
    const stored = async () =>
      (
        await adminQuery<{ chars: number }>(
          database.adminUrl,
          "select coalesce(sum(length(content)), 0)::int as chars from turn_deltas where turn_id = $1",
          [turns[0]?.id],
        )
      )[0]?.chars ?? 0;
    const before = await stored();
    await expect.poll(stored, { timeout: 5_000, interval: 100 }).toBeGreaterThan(before + 20);
    await ok(org.call("POST", `/threads/${stays}/turns/${turns[0]?.id}/cancel`));
    await streams[1]?.until(turnsEnded(1));
  });

  it("is refused when too many wait already, with the conversation (THR-3, THR-5)", async () => {
    const id = await newThread(org, [await newAgent(org, "Busy", "openai-proxy/dev-slow-5000")]);
    const { turns } = await say(id, "first");
    await adminQuery(
      database.adminUrl,
      `insert into turns (org_id, id, thread_id, agent_id, agent_version_id, message_seq, lease_until)
       select org_id, id || n, thread_id, agent_id, agent_version_id, message_seq, now() + interval '1 hour'
       from turns, generate_series(1, 299) n where id = $1`,
      [turns[0]?.id],
    );
    const { status, body } = await org.call<{ details: object }>("POST", `/threads/${id}/messages`, {
      content: "more",
    });
    expect([status, body.details]).toMatchObject([429, { reason: "too_many_turns", context: { thread: { id } } }]);
    await ok(org.call("DELETE", `/threads/${id}?purge=true`));
  });
});
