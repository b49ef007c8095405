import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import {
  newAgent,
  newOrganization,
  newThread,
  ok,
  type Problem,
  request,
  type TestOrganization,
} from "../harness/organization";
import { ofType, openStream, turnsEnded } from "../harness/stream";
import { openSocket } from "../realtime/socket";

const { adminUrl, databaseUrl } = inject("graphyn");
const NOBODYS = "thread_01h455vb4pex5vsknk084sn02q";
const CANARY = "canary-9d2c";

let org: TestOrganization;
let guest: TestOrganization;
let agent: string;
let other: { thread: string; agent: string; message: string };
beforeAll(async () => {
  org = await newOrganization();
  guest = await newGuest("Gast");
  agent = await newAgent(org, "Helper", "openai-proxy/dev-echo");
  const secretary = await newAgent(org, "Secretary", "openai-proxy/dev-echo");
  const thread = await newThread(org, [secretary]);
  const { message } = await ok(
    org.call<{ message: { id: string } }>("POST", `/threads/${thread}/messages`, { content: CANARY }),
  );
  other = { thread, agent: secretary, message: message.id };
});

async function newGuest(name: string): Promise<TestOrganization> {
  const { id } = await ok(org.call<{ id: string }>("POST", "/people", { name, role: "guest" }));
  const { api_key } = await ok(org.call<{ api_key: string }>("POST", "/api-keys", { name: "guest's", user_id: id }));
  return {
    ...org,
    userId: id,
    apiKey: api_key,
    call: (method, path, body, headers) =>
      request(org.url, method, path, body, { authorization: `Bearer ${api_key}`, ...headers }),
  };
}

const room = () => newThread(org, [agent], [guest.userId]);

describe("a guest of the organization", () => {
  it("sees and hears the threads in which they take part, and may what their role in them allows (AGT-2)", async () => {
    const id = await room();
    const stream = await openStream(guest, id);
    const said = await ok(
      guest.call<{ turns: { id: string }[] }>("POST", `/threads/${id}/messages`, { content: "hello from outside" }),
    );
    expect(said.turns).toHaveLength(1);
    await stream.until(turnsEnded(1));
    for (const path of ["", "/messages", "/participants", "/branches"]) {
      const answer = await ok(guest.call("GET", `/threads/${id}${path}`));
      expect(answer).toEqual(await ok(org.call("GET", `/threads/${id}${path}`)));
    }
    const socket = await openSocket(guest, id);
    await socket.first("welcome");
    socket.send({ type: "send", id: "m1", content: "and over a socket", mentions: [] });
    expect(await socket.first("ack")).toMatchObject({ id: "m1" });
    socket.send({ type: "read", id: "m2", seq: 1 });
    await socket.first("ack", (ack) => ack.id === "m2");
    socket.cut();
    stream.close();
    const { threads } = await ok(guest.call<{ threads: { id: string }[] }>("GET", "/threads"));
    expect(threads.map((thread) => thread.id)).toContain(id);
    const { results } = await ok(
      guest.call<{ results: { message: { thread_id: string } }[] }>("GET", "/search?q=outside"),
    );
    expect(results.map(({ message }) => message.thread_id)).toContain(id);
  });

  it.each<[string, string, string, unknown?]>([
    ["reading", "GET", ""],
    ["messages", "GET", "/messages"],
    ["participants", "GET", "/participants"],
    ["branches", "GET", "/branches"],
    ["streaming", "GET", "/stream"],
    ["speaking", "POST", "/messages", { content: "let me in" }],
    ["cancelling", "POST", "/cancel"],
    ["cancelling a turn", "POST", "/turns/turn_01h455vb4pex5vsknk084sn02q/cancel"],
    ["rewinding", "POST", "/rewind", { to_seq: 1 }],
    ["restoring", "POST", "/branches/1/restore"],
    ["leaving", "DELETE", "/participants/part_01h455vb4pex5vsknk084sn02q"],
    ["editing", "POST", "/messages/MESSAGE/edit", { content: "x" }],
    ["regenerating", "POST", "/messages/MESSAGE/regenerate"],
  ])("%s: another thread of the organization is not there, byte for byte (AGT-2, SEC-1)", async (...route) => {
    const [, method, path, body] = route;
    const at = (thread: string) =>
      guest.call(method, `/threads/${thread}${path.replace("MESSAGE", other.message)}`, body);
    const [theirs, nobodys] = [await at(other.thread), await at(NOBODYS)];
    expect(theirs).toEqual(nobodys);
    expect(theirs.status).toBe(404);
  });

  it("finds nothing of others in lists, searches and over WebSockets (AGT-2, SEC-1)", async () => {
    await room();
    for (const path of ["/threads", `/search?q=${CANARY}`, `/search?q=${CANARY}&thread_id=${other.thread}`]) {
      const text = JSON.stringify(await ok(guest.call("GET", path)));
      for (const secret of [CANARY, ...Object.values(other)])
        expect(text.replaceAll(`q=${CANARY}`, "")).not.toContain(secret);
    }
    const [theirs, nobodys] = [await openSocket(guest, other.thread), await openSocket(guest, NOBODYS)];
    expect(await theirs.first("bye")).toEqual(await nobodys.first("bye"));
  });

  it("sees it no more, and hears no more, once removed from it (AGT-2)", async () => {
    const id = await room();
    const [stream, socket] = [await openStream(guest, id), await openSocket(guest, id)];
    await socket.first("event", ({ event }) => event.type === "caught_up");
    const { participants } = await ok(
      org.call<{ participants: { id: string; user_id: string | null }[] }>("GET", `/threads/${id}/participants`),
    );
    const seat = participants.find(({ user_id }) => user_id === guest.userId);
    await ok(org.call("DELETE", `/threads/${id}/participants/${seat?.id}`));
    await stream.until((received) => ofType(received, "error").some(({ reason }) => reason === "not_in_thread"));
    expect(await socket.first("bye")).toMatchObject({ reason: "not_in_thread", reconnect: false });
    const gone = await guest.call<Problem>("GET", `/threads/${id}`);
    expect(gone).toEqual(await guest.call("GET", `/threads/${NOBODYS}`));
  });
});

describe("the database role of guests", () => {
  const client = new pg.Client({ connectionString: databaseUrl });
  beforeAll(() => client.connect());
  afterAll(() => client.end());

  async function asGuest<T extends object>(sql: string, values: unknown[] = []): Promise<T[]> {
    await client.query("begin");
    try {
      await client.query(
        "select set_config('role', 'graphyn_guest', true), set_config('graphyn.org_id', $1, true), set_config('graphyn.guest', $2, true)",
        [org.orgId, guest.userId],
      );
      return (await client.query(sql, values)).rows as T[];
    } finally {
      await client.query("rollback");
    }
  }

  /** What the migrations let it read at all: the tables of a thread, and names. */
  const READABLE = [
    "agent_conversations",
    "agent_versions",
    "agents",
    "limits",
    "message_embeddings",
    "messages",
    "participants",
    "presence",
    "reactions",
    "read_positions",
    "thread_branches",
    "thread_log",
    "threads",
    "turn_deltas",
    "turns",
    "users",
  ];

  it("reads no other table, no prompt and no address, and writes nowhere (AGT-2, SEC-1)", async () => {
    const rights = await adminQuery<{ table_name: string; privilege_type: string }>(
      adminUrl,
      "select distinct table_name, privilege_type from information_schema.column_privileges where grantee = 'graphyn_guest'",
    );
    expect(new Set(rights.map(({ privilege_type }) => privilege_type))).toEqual(new Set(["SELECT"]));
    expect(rights.map(({ table_name }) => table_name).sort()).toEqual(READABLE);
    for (const sql of [
      "select * from api_keys",
      "select * from interaction_captures",
      "select * from idempotency_keys",
      "select email from users",
      "select * from agent_versions",
      "insert into threads (org_id, id, created_by) values ('x', 'y', 'z')",
      "select * from search_words(''::tsquery, null, 1)",
    ]) {
      await expect(asGuest(sql), sql).rejects.toThrow(/permission denied/);
    }
  });

  it("sees of every table the rows of the guest's threads alone (AGT-2, SEC-1)", async () => {
    const id = await room();
    await ok(guest.call("POST", `/threads/${id}/messages`, { content: "seen" }));
    const seen = async (sql: string) => (await asGuest<{ it: string }>(sql)).map(({ it }) => it);
    const threads = await seen("select id as it from threads");
    expect(threads).toContain(id);
    expect(threads).not.toContain(other.thread);
    for (const table of READABLE.filter((name) => !["threads", "users"].includes(name))) {
      const [{ of } = { of: null }] = await adminQuery<{ of: string | null }>(
        adminUrl,
        "select min(column_name) as of from information_schema.columns where table_name = $1 and column_name in ('thread_id')",
        [table],
      );
      if (of)
        expect((await seen(`select distinct thread_id as it from ${table}`)).every((it) => threads.includes(it))).toBe(
          true,
        );
    }
    expect(await seen("select id as it from agents")).toEqual([agent]);
    expect(await seen(`select message_id as it from message_embeddings where message_id = '${other.message}'`)).toEqual(
      [],
    );
    expect((await seen("select id as it from users")).sort()).toEqual([org.userId, guest.userId].sort());
    const found = "select id as it from search_words_seen(websearch_to_tsquery('simple', $1), null, 10)";
    expect(await asGuest(found, [CANARY])).toEqual([]);
    expect(await asGuest(found, ["seen"])).not.toEqual([]);
  });

  it("of somebody who is no participant anywhere sees nothing (AGT-2)", async () => {
    await client.query("begin");
    await client.query("select set_config('role', 'graphyn_guest', true), set_config('graphyn.org_id', $1, true)", [
      org.orgId,
    ]);
    for (const table of READABLE) {
      const { rows } = await client.query(`select count(*)::int as n from ${table}`);
      expect([table, rows[0].n]).toEqual([table, 0]);
    }
    await client.query("rollback");
  });
});
