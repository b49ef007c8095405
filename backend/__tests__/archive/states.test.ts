import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import {
  type Context,
  newAgent,
  newOrganization,
  newPerson,
  newThread,
  ok,
  type Problem,
  request,
} from "../harness/organization";
import { startServer } from "../harness/server";
import { ofType, openStream } from "../harness/stream";
import {
  answered,
  answersTo,
  type Elsewhere,
  exportOf,
  importedOrganization,
  importInto,
  rowsOf,
  say,
  settled,
  startElsewhere,
} from "./archives";

const graphyn = inject("graphyn");

let elsewhere: Elsewhere;
beforeAll(async () => {
  elsewhere = await startElsewhere();
}, 60_000);
afterAll(() => elsewhere?.stop());

interface Said {
  messages: { sender_type: string; content: string; status: string }[];
}

describe("an archive", () => {
  it("keeps what is rare: Clerk's organization, receipts of erasures, limits that were told, forks of later threads (SEC-7)", async () => {
    const org = await newOrganization(graphyn, "Rare");
    const echo = await newAgent(org, "Echo", "openai-proxy/dev-echo");
    const thread = await newThread(org, [echo]);
    await say(org, thread, "hello");
    const later = await newThread(org);
    await settled(org, graphyn.adminUrl);
    for (const sql of [
      `insert into clerk_organizations (org_id, external_id, created_by, named_at)
       values ($1, 'org_2abcDEF', 'user_2xyzABC', '2026-11-01 10:00:00.123456Z')`,
      `insert into clerk_seats (org_id, external_id, role, said_at, removed) values ($1, 'user_2Zy', 'org:member', now(), true),
         ($1, 'user_2aB', null, now(), true), ($1, 'user_2xyzABC', 'org:admin', now(), false)`,
      `insert into exchange_limits_told (org_id, thread_id, exchange_seq, reason) values ($1, '${thread}', 1, 'hop_limit')`,
      `insert into erasures (org_id, id, person_id, state, step, counts, requested_by, token_hash, ended_at, receipt, signature)
       values ($1, 'erasure_01h455vb4pex5vsknk084sn02q', 'user_01h455vb4pex5vsknk084sn02q', 'done', 'rest', '{"messages": 2}', $2,
         '\\x0102', now(), '{}', 'c2ln')`,
      `update users set external_id = 'user_2xyzABC', email = 'a@example.com' where org_id = $1 and id = $2`,
      // A thread that a later one is the origin of, as clocks that differ can make it.
      `update threads set parent_id = '${later}', parent_seq = 1 where org_id = $1 and id = '${thread}'`,
    ]) {
      await adminQuery(graphyn.adminUrl, sql, sql.includes("$2") ? [org.orgId, org.userId] : [org.orgId]);
    }
    const archive = await exportOf(org);
    expect(rowsOf(archive, "clerk_seats").map(({ external_id }) => external_id)).toEqual(["user_2Zy", "user_2aB"]);
    for (const table of ["clerk_organizations", "exchange_limits_told", "erasures"])
      expect(rowsOf(archive, table)).toHaveLength(1);
    const imported = await importInto(elsewhere, archive);
    expect(imported.status).toBe(200);
    const copy = importedOrganization(elsewhere, imported);
    expect(await exportOf(copy)).toBe(archive);
    const receipt = await ok(copy.call("GET", "/erasure/erasure_01h455vb4pex5vsknk084sn02q"));
    expect(receipt).toMatchObject({ state: "done", receipt: "{}", counts: { messages: 2 } });
  });

  it("keeps a guest who was shown as host, and who may nothing of a host (SEC-7, AGT-2)", async () => {
    const org = await newOrganization(graphyn, "Once a host");
    const thread = await newThread(org);
    const [guest, other] = [await newPerson(org, "Once a member"), await newPerson(org, "Somebody")];
    await ok(org.call("POST", `/threads/${thread}/participants`, { people: [guest], role: "host" }));
    await ok(org.call("POST", `/threads/${thread}/participants`, { people: [other] }));
    // As between the change of a person and the thread's word of it.
    await adminQuery(graphyn.adminUrl, "update members set role = 'guest' where org_id = $1 and user_id = $2", [
      org.orgId,
      guest,
    ]);
    const archive = await exportOf(org);
    const imported = await importInto(elsewhere, archive);
    expect(imported.status).toBe(200);
    const copy = importedOrganization(elsewhere, imported);
    expect(await exportOf(copy)).toBe(archive);
    const key = await ok(copy.call<{ api_key: string }>("POST", "/api-keys", { name: "g", user_id: guest }));
    const { context } = await ok(copy.call<{ context: Context }>("GET", `/threads/${thread}`));
    const seat = context.participants.find(({ user_id }) => user_id === other)?.id;
    const removing = await request<Problem>(copy.url, "DELETE", `/threads/${thread}/participants/${seat}`, undefined, {
      authorization: `Bearer ${key.api_key}`,
    });
    expect(removing).toMatchObject({
      status: 403,
      body: { details: { reason: "role_not_allowed", action: "remove", role: "speaker" } },
    });
    const fork = await ok(copy.call<{ context: Context }>("POST", `/threads/${thread}/fork`, {}));
    expect(fork.context.participants.map(({ user_id, role }) => [user_id, role])).toEqual([
      [org.userId, "host"],
      [guest, "speaker"],
      [other, "speaker"],
    ]);
  });

  it("takes turns that are under way as after a crash: what was said is kept, what was not begun is answered (TRN-3)", async () => {
    const org = await newOrganization(graphyn, "Under way");
    const slow = await newAgent(org, "Slow", "openai-proxy/dev-n100-r20");
    const thread = await newThread(org, [slow]);
    const stream = await openStream(org, thread);
    await ok(org.call("POST", `/threads/${thread}/messages`, { content: "Talk for long" }));
    await stream.until((all) => ofType(all, "ai_chunk").length > 20);
    await ok(org.call("POST", `/threads/${thread}/messages`, { content: "And then answer this" }));
    await untilDeltas(org.orgId);
    const archive = await exportOf(org);
    await ok(org.call("POST", `/threads/${thread}/cancel`));
    await stream.close();
    expect(rowsOf(archive, "turns").map(({ state }) => state)).toEqual(["running", "queued"]);
    const said = rowsOf(archive, "turn_deltas")
      .map(({ content }) => content)
      .join("");
    expect(said.length).toBeGreaterThan(0);

    const imported = await importInto(elsewhere, archive);
    expect(imported.status).toBe(200);
    const copy = importedOrganization(elsewhere, imported);
    await untilSaid(copy.orgId, said);
    const { messages } = await ok(copy.call<Said>("GET", `/threads/${thread}/messages`));
    expect(messages.filter(({ sender_type }) => sender_type === "agent")[0]).toMatchObject({
      content: said,
      status: "failed",
    });
    // The queued one is being answered now, by an agent that had to be made first.
    const { context } = await ok(copy.call<{ context: Context }>("GET", `/threads/${thread}`));
    expect(context.running_turns).toHaveLength(1);
    await ok(copy.call("POST", `/threads/${thread}/cancel`));
    await answered(copy, thread);
  }, 90_000);

  it("has its agents made by whoever comes next, when the process dies right after the import (LET-5, SEC-7)", async () => {
    const org = await newOrganization(graphyn, "Left half way");
    const agents = [
      await newAgent(org, "One", "openai-proxy/dev-echo"),
      await newAgent(org, "Two", "openai-proxy/dev-echo"),
    ];
    const thread = await newThread(org, agents);
    const archive = await exportOf(org);
    const { database, adminKey } = elsewhere;
    const settings = { databaseUrl: database.url, adminKey, env: { ENCORE_NODE_DB_POOL: "6" } };
    const dying = await startServer(settings);
    const imported = await importInto({ server: dying, adminKey }, archive);
    await dying.stop("SIGKILL");
    expect(imported.status).toBe(200);
    const beside = await startServer(settings); // and the one that has been there all the time: one of them makes each agent
    try {
      const copy = importedOrganization(elsewhere, imported);
      await until(
        database.adminUrl,
        `select (count(*) = 2 and bool_and(state = 'ready' and letta_id is not null))::int as n from agent_versions where org_id = $1`,
        [copy.orgId],
      );
      expect(await answersTo(copy, thread, "Are you there?")).toHaveLength(2);
      expect(await exportOf(copy)).not.toBe(archive);
    } finally {
      await beside.stop();
    }
  }, 90_000);
});

async function untilDeltas(orgId: string): Promise<void> {
  await until(graphyn.adminUrl, "select count(*)::int as n from turn_deltas where org_id = $1", [orgId]);
}

async function untilSaid(orgId: string, content: string): Promise<void> {
  const sql = "select count(*)::int as n from messages where org_id = $1 and content = $2";
  await until(elsewhere.database.adminUrl, sql, [orgId, content]);
}

async function until(url: string, sql: string, values: string[]): Promise<void> {
  for (let tries = 0; tries < 150; tries++) {
    const [row] = await adminQuery<{ n: number }>(url, sql, values);
    if (row && row.n > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("it did not come to that");
}
