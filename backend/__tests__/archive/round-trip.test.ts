import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { type Context, newOrganization, ok, request, type TestOrganization } from "../harness/organization";
import { openSocket } from "../realtime/socket";
import {
  answersTo,
  askedWith,
  type Elsewhere,
  exportOf,
  type Imported,
  importedOrganization,
  importInto,
  linesOf,
  richOrganization,
  rowsOf,
  settled,
  startElsewhere,
} from "./archives";

const graphyn = inject("graphyn");
const word = `word${randomBytes(6).toString("hex")}`;

let elsewhere: Elsewhere;
let rich: Awaited<ReturnType<typeof richOrganization>>;
/** Of another organization of the first Graphyn. */
let canary: string;
let first: string;
let imported: Imported;
let copy: TestOrganization;

beforeAll(async () => {
  [elsewhere, rich] = await Promise.all([startElsewhere(), richOrganization(word)]);
  const { org, main } = rich;
  canary = `canary${randomBytes(6).toString("hex")}`;
  const other = await newOrganization(graphyn, `Other ${canary}`);
  await ok(other.call("POST", "/threads", { title: canary }));
  const { messages } = await ok(
    org.call<{ messages: { id: string; seq: number }[] }>("GET", `/threads/${main}/messages?limit=100`),
  );
  const socket = await openSocket(org, main);
  await socket.first("welcome");
  socket.send({ type: "react", id: "r1", message_id: messages.at(-1)?.id, emoji: "👍" });
  socket.send({ type: "react", id: "r2", message_id: messages.at(-1)?.id, emoji: "+1" });
  socket.send({ type: "read", id: "r3", seq: 3 });
  await socket.until((all) => all.filter((m) => "id" in m && /^r\d$/.test(String(m.id))).length >= 3);
  socket.cut();
  await settled(org, graphyn.adminUrl);
  first = await exportOf(org);
  imported = await importInto(elsewhere, first);
  expect([imported.status, imported.status === 200 ? "" : imported.body]).toEqual([200, ""]);
  copy = importedOrganization(elsewhere, imported);
}, 180_000);
afterAll(() => elsewhere?.stop());

describe("an organization that is exported", () => {
  it("has something of every table that an archive holds, but for Clerk's", () => {
    const end = JSON.parse(linesOf(first).at(-1) ?? "").end as { counts: Record<string, number> };
    const empty = Object.entries(end.counts).flatMap(([table, n]) => (n === 0 ? [table] : []));
    // Exchange limits are told, turns are under way and people are erased in tests of their own.
    expect(empty.sort()).toEqual([
      "clerk_organizations",
      "clerk_seats",
      "erasures",
      "exchange_limits_told",
      "turn_deltas",
    ]);
  });

  it("gives the same bytes again, though it tells in its audit log that it was exported (SEC-7)", async () => {
    expect(await exportOf(rich.org)).toBe(first);
    const { entries } = await ok(rich.org.call<{ entries: { action: string }[] }>("GET", "/audit?limit=2"));
    expect(entries.map(({ action }) => action)).toEqual(["organization.exported", "organization.exported"]);
  });

  it("has times to the microsecond, and nothing of another organization (SEC-1)", async () => {
    for (const { created_at } of rowsOf(first, "messages"))
      expect(created_at).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z$/);
    expect(first).toContain(word);
    expect(first).not.toContain(canary);
    expect(first).not.toContain(rich.guestHome.orgId);
    expect(first).not.toContain(rich.guestHome.userId);
    const ids = first.match(/org_[0-7][0-9a-hjkmnp-tv-z]{25}/g) ?? [];
    expect(new Set(ids)).toEqual(new Set([rich.org.orgId]));
  });

  it("has no secret in it, and no hash of one (SEC-4)", async () => {
    const secrets = await adminQuery<{ secret: string }>(
      graphyn.adminUrl,
      `select encode(hash, 'hex') as secret from api_keys where org_id = $1
       union all select encode(hash, 'base64') from api_keys where org_id = $1
       union all select encode(hash, 'hex') from thread_invitations where org_id = $1
       union all select encode(home, 'hex') from users where org_id = $1 and home is not null`,
      [rich.org.orgId],
    );
    expect(secrets.length).toBeGreaterThanOrEqual(5);
    for (const { secret } of secrets) expect(first).not.toContain(secret);
    expect(first).not.toContain(rich.org.apiKey);
  });
});

describe("an organization that is imported into an empty Graphyn", () => {
  it("gives the same bytes when it is exported there, before and after its agents are in Letta (SEC-7)", async () => {
    expect(imported).toMatchObject({
      status: 200,
      body: { organization_id: rich.org.orgId, user_id: rich.org.userId },
    });
    expect(await exportOf(copy)).toBe(first);
    await madeInLetta();
    await settled(copy, elsewhere.database.adminUrl); // its embeddings too
    expect(await exportOf(copy)).toBe(first);
  });

  it("has an audit log that holds, and tells where it came from (SEC-6)", async () => {
    expect(await ok(copy.call("GET", "/audit/verify"))).toMatchObject({ intact: true, broken: null });
    const { entries } = await ok(
      copy.call<{ entries: { action: string; actor: { kind: string }; change: { archive: string } }[] }>(
        "GET",
        "/audit?action=organization.imported",
      ),
    );
    expect(entries).toMatchObject([{ actor: { kind: "operator" }, change: { archive: imported.body.sha256 } }]);
  });

  it("is in PostgreSQL's statistics at once, not only when it looks by itself (DAT-1)", async () => {
    const filled = Object.entries(imported.body.counts).flatMap(([table, rows]) => (rows > 0 ? [table] : []));
    expect(filled.length).toBeGreaterThan(10);
    const unknown = async () => {
      const looked = await adminQuery<{ name: string }>(
        elsewhere.database.adminUrl,
        "select relname as name from pg_stat_user_tables where last_analyze is not null",
      );
      return filled.filter((table) => !looked.some(({ name }) => name === table));
    };
    await expect.poll(unknown, { timeout: 20_000, interval: 200 }).toEqual([]);
  });

  it("is read there as it was here: threads, branches, messages, usage, limits", async () => {
    const { main, fork, stopped, quiet, ada } = rich;
    const paths = [main, fork, stopped, quiet].flatMap((id) => [
      `/threads/${id}`,
      `/threads/${id}/messages?limit=100`,
      `/threads/${id}/branches`,
      `/threads/${id}/participants`,
    ]);
    const until = new Date(Date.now() + 60_000).toISOString();
    const spent = ["day", "agent", "person", "model"].map((by) => `/usage?by=${by}&to=${until}`);
    for (const path of [...paths, ...spent, "/people", "/threads"]) {
      expect([path, await copy.call("GET", path)]).toEqual([path, await rich.org.call("GET", path)]);
    }
    const { limits } = await ok(copy.call<{ limits: { scope: string; scope_id: string }[] }>("GET", "/limits"));
    expect(limits.map(({ scope, scope_id }) => [scope, scope_id])).toEqual(
      expect.arrayContaining([
        ["organization", rich.org.orgId],
        ["person", ada],
      ]),
    );
  });

  it("opens with the new key only (SEC-4)", async () => {
    const { status } = await request(elsewhere.server.url, "GET", "/threads", undefined, {
      authorization: `Bearer ${rich.org.apiKey}`,
    });
    expect(status).toBe(401);
  });

  it("has agents that answer, and are told what was said before (LET-5, TRN-1)", async () => {
    const question = `What was said, ${randomBytes(4).toString("hex")}?`;
    expect(await answersTo(copy, rich.main, question)).toHaveLength(1);
    const asked = (await askedWith(question)).at(-1) ?? "";
    expect(asked).toContain(`The secret is ${word}.`);
    expect(asked).toContain(`Say ${word} once more`);
    expect(asked).toContain(`You are Echo II of ${word}.`);
    expect(asked).not.toContain("Say it again"); // left behind, in another branch
    // Its own answers too, which Letta has nothing of.
    expect(asked).toMatch(/role=\\+"you\\+"/);
    // Once it has heard, it is told nothing twice.
    const next = `And now, ${randomBytes(4).toString("hex")}?`;
    await answersTo(copy, rich.main, next);
    const { messages } = JSON.parse((await askedWith(next)).at(-1) ?? "{}") as { messages: { content: unknown }[] };
    const told = messages.map(({ content }) => JSON.stringify(content)).filter((content) => content?.includes(next));
    expect(told).toHaveLength(1);
    expect(told[0]).not.toContain("The secret is");
  });

  it("finds its messages by words and by meaning again", async () => {
    await settled(copy, elsewhere.database.adminUrl);
    const { results } = await ok(
      copy.call<{ results: { message: { content: string } }[] }>("GET", `/search?q=${word}`),
    );
    expect(results.length).toBeGreaterThan(0);
  });

  it("goes on from its log, and is another archive from then on", async () => {
    const { context } = await ok(copy.call<{ context: Context }>("GET", `/threads/${rich.main}`));
    const last = rowsOf(first, "threads").find(({ id }) => id === rich.main)?.last_seq as number;
    expect(context.last_seq).toBeGreaterThan(last);
    expect(await exportOf(copy)).not.toBe(first);
  });
});

async function madeInLetta(): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const [row] = await adminQuery<{ n: number }>(
      elsewhere.database.adminUrl,
      "select count(*)::int as n from agent_versions where state = 'imported'",
    );
    if (row?.n === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("the agents are not made");
}
