import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, newThread, ok, request } from "../harness/organization";
import type { Server } from "../harness/server";
import { openStream } from "../harness/stream";
import { openSocket } from "../realtime/socket";
import {
  clerkId,
  type Delivery,
  deliver,
  inOrganization,
  membership,
  membersOf,
  newInstance,
  seconds,
  sessionToken,
  signedIn,
  startWithClerk,
  withToken,
} from "./clerk";

const clerk = newInstance();
const MetricsKey = "the-operators-metrics-key";
let server: Server;

beforeAll(async () => {
  server = await startWithClerk(clerk, { MetricsKey });
});
afterAll(() => server?.stop());

/** Delivers an event that happened so many milliseconds after `t0`; gives what became of it. */
const t0 = Date.now() - 60_000;
async function tell(type: string, data: object, after = 0, delivery: Delivery = {}): Promise<string | undefined> {
  const { status, body } = await deliver(server, clerk, { type, data, at: t0 + after }, delivery);
  expect(status).toBe(200);
  return body.outcome;
}
interface AuditEntry {
  action: string;
  actor: { kind: string; id: string; user_id: string | null };
  change: object;
}

const people = (token: string) => withToken(server, token, "GET", "/people");
const organization = (id: string, more: object = {}) => ({ id, name: "Acme Ltd", slug: "acme", ...more });
const user = () => clerkId("user");
/** A token of the person in the organization, made so many milliseconds after `t0`. */
const tokenAt = (sub: string, org: string | null, after: number, rol = "member") =>
  sessionToken(clerk, { sub, iat: Math.floor((t0 + after) / 1000), ...(org ? inOrganization(org, rol) : {}) });

describe("a webhook of Clerk", () => {
  it("makes the organization, the person and their membership before anybody signs in (SEC-3)", async () => {
    const [org, ada] = [clerkId("org"), user()];
    expect(await tell("organization.created", organization(org, { created_by: ada }), 1)).toBe("applied");
    expect(await tell("organizationMembership.created", membership(org, ada, "org:admin"), 2)).toBe("applied");
    const members = await membersOf(ada);
    expect(members).toMatchObject([{ org_name: "Acme Ltd", name: "Ada Byron", role: "owner" }]);
    const token = tokenAt(ada, org, 5_000, "admin");
    expect((await people(token)).status).toBe(200);
    expect(await membersOf(ada)).toEqual(members);
  });

  it("makes the organization's creator its owner also when it comes last (SEC-3)", async () => {
    const [org, ada, bob] = [clerkId("org"), user(), user()];
    await tell("organizationMembership.created", membership(org, ada, "org:admin"), 2);
    await tell("organizationMembership.created", membership(org, bob, "org:admin"), 3);
    expect(await membersOf(ada)).toMatchObject([{ role: "admin" }]);
    await tell("organization.created", organization(org, { created_by: ada }), 1);
    expect(await membersOf(ada)).toMatchObject([{ role: "owner" }]);
    expect(await membersOf(bob)).toMatchObject([{ role: "admin" }]);
    await tell("organizationMembership.updated", membership(org, ada, "org:member"), 4);
    expect(await membersOf(ada)).toMatchObject([{ role: "member" }]);
  });

  it("changes a role and a name, and an older one that comes later changes nothing (SEC-3)", async () => {
    const [org, ada] = [clerkId("org"), user()];
    await tell("organizationMembership.created", membership(org, ada), 1);
    expect(await tell("organizationMembership.updated", membership(org, ada, "org:admin"), 30)).toBe("applied");
    expect(await tell("organizationMembership.updated", membership(org, ada, "org:guest"), 20)).toBe("outdated");
    expect(await membersOf(ada)).toMatchObject([{ role: "admin" }]);
    expect(await tell("organization.updated", organization(org, { name: "New" }), 40)).toBe("applied");
    expect(await tell("organization.updated", organization(org, { name: "Old" }), 35)).toBe("outdated");
    expect(await membersOf(ada)).toMatchObject([{ org_name: "New" }]);
    const called = (first_name: string) => ({ id: ada, first_name, last_name: "Byron", username: "ada" });
    expect(await tell("user.updated", called("Augusta"), 50)).toBe("applied");
    expect(await tell("user.updated", called("Ada"), 45)).toBe("outdated");
    expect(await membersOf(ada)).toMatchObject([{ name: "Augusta Byron" }]);
  });

  it("ends in the same state in whatever order its deliveries come, and when each comes twice (SEC-3)", async () => {
    const told = (org: string, ada: string): [string, object, number][] => [
      ["organization.created", organization(org, { created_by: ada }), 1],
      ["organizationMembership.created", membership(org, ada, "org:admin"), 2],
      ["organizationMembership.deleted", membership(org, ada, "org:admin"), 3],
      ["organizationMembership.created", membership(org, ada, "org:member"), 4],
      ["organizationMembership.updated", membership(org, ada, "org:guest"), 5],
      ["user.updated", { id: ada, first_name: "Augusta", last_name: null }, 6],
    ];
    const orders = [
      [0, 1, 2, 3, 4, 5],
      [5, 4, 3, 2, 1, 0, 5],
      [2, 0, 4, 1, 3, 5],
      [3, 3, 5, 2, 2, 1, 4, 0, 0, 5, 1],
      [4, 1, 5, 0, 3, 2],
    ];
    for (const order of orders) {
      const [org, ada] = [clerkId("org"), user()];
      const all = told(org, ada);
      for (const n of order) {
        const [type, data, after] = all[n] ?? ["", {}, 0];
        await tell(type, data, after);
      }
      expect(await membersOf(ada)).toMatchObject([{ org_name: "Acme Ltd", name: "Augusta", role: "guest" }]);
    }
  });

  it("that is delivered again does nothing, also in another process (SEC-3)", async () => {
    const [org, ada] = [clerkId("org"), user()];
    const id = `msg_${ada}`;
    const created = () => tell("organizationMembership.created", membership(org, ada), 1, { id });
    expect(await created()).toBe("applied");
    await tell("organizationMembership.deleted", membership(org, ada), 2);
    expect(await created()).toBe("replayed");
    const other = await startWithClerk(clerk);
    try {
      const event = { type: "organizationMembership.created", data: membership(org, ada), at: t0 + 1 };
      expect(await deliver(other, clerk, event, { id })).toMatchObject({ status: 200, body: { outcome: "outdated" } });
    } finally {
      await other.stop();
    }
    expect(await membersOf(ada)).toMatchObject([{ role: null }]);
  });

  it("takes a membership away, and no older token brings it back; a newer one does (SEC-3)", async () => {
    const [org, ada] = [clerkId("org"), user()];
    const [before, after] = [tokenAt(ada, org, 1_000), tokenAt(ada, org, 9_000)];
    expect((await people(before)).status).toBe(200);
    await tell("organizationMembership.deleted", membership(org, ada), 5_000);
    await expect.poll(async () => (await people(before)).status, { timeout: 10_000 }).toBe(401);
    expect((await people(tokenAt(ada, org, 2_000))).status).toBe(401);
    expect((await people(tokenAt(ada, org, 5_000))).status).toBe(401); // of the same second: a token's time is no finer
    expect(await membersOf(ada)).toMatchObject([{ role: null }]);
    expect((await people(after)).status).toBe(200);
    expect(await membersOf(ada)).toMatchObject([{ role: "member" }]);
    expect((await people(before)).status).toBe(200); // a member again: a token says who it is, not that it was so all the time
  });

  it("takes a membership away before anybody has seen it, too (SEC-3)", async () => {
    const [org, ada] = [clerkId("org"), user()];
    expect(await tell("organizationMembership.deleted", membership(org, ada), 5_000)).toBe("applied");
    expect((await people(tokenAt(ada, org, 1_000))).status).toBe(401);
    expect(await tell("organizationMembership.created", membership(org, ada), 4_000)).toBe("outdated");
    expect(await membersOf(ada)).toEqual([]);
  });

  it("ends streams, sockets and API keys of who is no member any more (SEC-3, SEC-4)", async () => {
    const [org, ada] = [clerkId("org"), user()];
    const token = tokenAt(ada, org, 1_000, "admin");
    await ok(people(token));
    const [member] = await membersOf(ada);
    const session = signedIn(server, token, { orgId: member?.org_id ?? "", userId: member?.user_id ?? "" });
    const key = await ok(session.call<{ api_key: string }>("POST", "/api-keys", { name: "hers" }));
    const withKey = () => request(server.url, "GET", "/people", undefined, { "x-api-key": key.api_key });
    expect((await withKey()).status).toBe(200);
    const threadId = await newThread(session);
    const stream = await openStream(session, threadId);
    const socket = await openSocket(session, threadId, { key: token });
    await socket.first("welcome");
    await tell("organizationMembership.deleted", membership(org, ada), 50_000);
    expect(await socket.first("bye")).toMatchObject({ reason: "session_invalid", reconnect: false });
    const isTold = ({ event }: { event: { type: string } }) => event.type === "error";
    const [last] = (await stream.until((received) => received.some(isTold))).filter(isTold);
    expect(last?.event).toMatchObject({ reason: "session_invalid" });
    await expect.poll(async () => (await withKey()).status, { timeout: 10_000 }).toBe(401);
  });

  it("leaves each change in the organization's audit log, in Clerk's name and without anybody's (SEC-3, SEC-6)", async () => {
    const [org, ada, bob] = [clerkId("org"), user(), user()];
    const token = tokenAt(ada, org, 1_000, "admin");
    await ok(people(token));
    await tell("organizationMembership.created", membership(org, bob), 2_000);
    await tell("organizationMembership.updated", membership(org, bob, "org:guest"), 3_000);
    await tell("organizationMembership.updated", membership(org, bob, "org:guest"), 3_500); // says nothing new
    await tell("organization.updated", organization(org, { name: "Acme & Sons" }), 4_000);
    await tell("organizationMembership.deleted", membership(org, bob), 5_000);
    const { entries } = await ok(withToken<{ entries: AuditEntry[] }>(server, token, "GET", "/audit"));
    expect(entries.reverse().map(({ action }) => action)).toEqual([
      "organization.created",
      "member.added",
      "member.added",
      "member.changed",
      "member.role_changed",
      "organization.changed",
      "member.removed",
    ]);
    for (const { actor } of entries) expect(actor).toEqual({ kind: "system", id: "clerk", user_id: null });
    expect(entries[4]?.change).toEqual({ role: "guest" });
    const text = JSON.stringify(entries);
    for (const name of ["Acme", "Byron", "example.com"]) expect(text).not.toContain(name);
    expect(await ok(withToken(server, token, "GET", "/audit/verify"))).toMatchObject({ intact: true });
  });

  it("closes an organization for everybody, for good (SEC-3)", async () => {
    const [org, ada, bob] = [clerkId("org"), user(), user()];
    for (const sub of [ada, bob]) await ok(people(tokenAt(sub, org, 1_000, "admin")));
    expect(await tell("organization.deleted", { id: org, object: "organization", deleted: true }, 5_000)).toBe(
      "applied",
    );
    expect([...(await membersOf(ada)), ...(await membersOf(bob))]).toMatchObject([{ role: null }, { role: null }]);
    expect((await people(tokenAt(ada, org, 9_000, "admin"))).status).toBe(401);
    expect(await tell("organizationMembership.created", membership(org, ada), 9_000)).toBe("outdated");
    expect(await tell("organization.updated", organization(org, { name: "Back" }), 9_000)).toBe("outdated");
    expect((await people(tokenAt(ada, null, 9_000))).status).toBe(200); // in their own they still are
  });

  it("ends a person everywhere, also where an older token would take them for the first time (SEC-3)", async () => {
    const [one, two, three, ada, bob] = [clerkId("org"), clerkId("org"), clerkId("org"), user(), user()];
    for (const org of [one, two, null]) await ok(people(tokenAt(ada, org, 1_000)));
    await ok(people(tokenAt(bob, one, 1_000)));
    const deleted = (id: string) => tell("user.deleted", { id, object: "user", deleted: true }, 5_000);
    expect(await deleted(ada)).toBe("applied");
    expect((await membersOf(ada)).map(({ role }) => role)).toEqual([null, null, null]);
    for (const org of [one, two, three, null]) {
      await expect.poll(async () => (await people(tokenAt(ada, org, 2_000))).status, { timeout: 10_000 }).toBe(401);
    }
    expect(await tell("organizationMembership.created", membership(three, ada), 4_000)).toBe("outdated");
    expect(await deleted(ada)).toBe("outdated");
    expect((await people(tokenAt(bob, one, 2_000))).status).toBe(200);
    const unseen = user();
    await deleted(unseen);
    expect((await people(tokenAt(unseen, one, 1_000))).status).toBe(401);
  });

  it("ends a person while first requests of theirs arrive: none leaves them a place (SEC-3)", async () => {
    const ada = user();
    const places = Array.from({ length: 12 }, () => clerkId("org"));
    const [deleted, ...opened] = await Promise.all([
      tell("user.deleted", { id: ada, object: "user", deleted: true }, 5_000),
      ...places.map((org) => people(tokenAt(ada, org, 1_000))),
    ]);
    expect(deleted).toBe("applied");
    for (const { status } of opened) expect([200, 401]).toContain(status);
    expect((await membersOf(ada)).filter(({ role }) => role !== null)).toEqual([]);
  });

  it("renames a person in every organization they are in and in its threads, and in no other (SEC-1, SEC-3)", async () => {
    const [org, ada] = [clerkId("org"), user()];
    const token = tokenAt(ada, org, 1_000);
    await ok(people(token));
    await ok(people(tokenAt(ada, null, 1_000)));
    const thread = await ok(withToken<{ thread: { id: string } }>(server, token, "POST", "/threads", { title: "x" }));
    const bystander = await newOrganization({ ...inject("graphyn"), url: server.url });
    await adminQuery(inject("graphyn").adminUrl, "update users set external_id = $2 where org_id = $1", [
      bystander.orgId,
      ada,
    ]);
    const addresses = {
      primary_email_address_id: "idn_2",
      email_addresses: [
        { id: "idn_1", email_address: "old@example.com" },
        { id: "idn_2", email_address: "ada@example.com" },
      ],
    };
    await tell("user.updated", { id: ada, first_name: "Ada\u2028", last_name: "Byron\r\n", ...addresses }, 2_000);
    const names = (await membersOf(ada)).filter(({ org_id }) => org_id !== bystander.orgId).map(({ name }) => name);
    expect(names).toEqual(["Ada Byron", "Ada Byron"]);
    expect((await membersOf(ada)).find(({ org_id }) => org_id === bystander.orgId)?.name).toBe("Owner");
    const { context } = await ok(
      withToken<{ context: { participants: { name: string }[] } }>(
        server,
        token,
        "GET",
        `/threads/${thread.thread.id}`,
      ),
    );
    expect(context.participants.map(({ name }) => name)).toEqual(["Ada Byron"]);
    const [email] = await adminQuery<{ email: string }>(
      inject("graphyn").adminUrl,
      "select email from users where external_id = $1 and email is not null",
      [ada],
    );
    expect(email).toEqual({ email: "ada@example.com" });
  });

  it("of another kind is taken, counted and changes nothing (SEC-3)", async () => {
    expect(await tell("session.created", { id: "sess_1" })).toBe("unknown");
    expect(await tell("organizationDomain.created", { id: "orgdmn_1" })).toBe("unknown");
    const text = await (
      await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${MetricsKey}` } })
    ).text();
    expect(/graphyn_clerk_events_total\{outcome="unknown"\} (\d+)/.exec(text)?.[1]).toBe("2");
  });
});

describe("a webhook is refused, with the reason in the log and not in the answer,", () => {
  const event = () => ({ type: "organization.created", data: organization(clerkId("org")) });
  const logged = (reason: string) =>
    server
      .output()
      .split("\n")
      .filter((line) => line.includes("a webhook was refused") && line.includes(`"${reason}"`)).length;

  async function isRefused(reason: string, delivery: Delivery, of: object = event()): Promise<void> {
    const before = logged(reason);
    const refused = await deliver(server, clerk, of as ReturnType<typeof event>, delivery);
    expect(refused).toMatchObject({
      status: 400,
      body: { code: "invalid_argument", details: { reason: "bad_webhook" } },
    });
    const other = await deliver(server, clerk, event(), { secret: newInstance().signingSecret });
    expect(refused).toEqual(other);
    await expect.poll(() => logged(reason), { timeout: 10_000 }).toBeGreaterThan(before);
  }

  it("when it is signed with another secret (SEC-3)", () =>
    isRefused("signature", { secret: newInstance().signingSecret }));

  it("when its body was changed, were it by a space (SEC-3)", async () => {
    await isRefused("signature", { tamper: (body) => `${body} ` });
    await isRefused("signature", { tamper: (body) => body.replace("Acme", "Evil") });
  });

  it("when it was sent more than five minutes ago, or is from the future (SEC-3)", async () => {
    await isRefused("signature", { sentAt: seconds(-301) });
    await isRefused("signature", { sentAt: seconds(360) });
    expect((await deliver(server, clerk, event(), { sentAt: seconds(-240) })).status).toBe(200);
  });

  it("when it is huge, and the server goes on (SEC-3)", async () => {
    await isRefused("too_large", { raw: JSON.stringify({ ...event(), more: "x".repeat(300_000) }) });
    const endless = await deliver(server, clerk, event(), { raw: "x".repeat(8_000_000) }).catch(() => null);
    if (endless) expect(endless.status).toBe(400); // it is cut off, unless it was heard to the end
    expect((await deliver(server, clerk, event())).status).toBe(200);
  });

  it("when its headers are missing (SEC-3)", async () => {
    const response = await fetch(`${server.url}/webhooks/clerk`, { method: "POST", body: "{}" });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ details: { reason: "bad_webhook" } });
  });

  it("when it lacks what its type promises, though it is signed (SEC-3)", async () => {
    for (const data of [{}, { id: "../x" }, { id: 7 }, null]) await isRefused("bad_event", {}, { ...event(), data });
    await isRefused("bad_event", {}, { type: "user.deleted", data: { id: user() }, at: "soon" });
    await isRefused("bad_event", {}, { type: "user.deleted", data: { id: user() }, at: 9e15 });
    await isRefused("signature", { raw: "no json" });
  });

  it("where no signing secret is set (SEC-3)", async () => {
    const without = await startWithClerk(clerk, { CLERK_WEBHOOK_SIGNING_SECRET: "" });
    try {
      expect((await deliver(without, { ...clerk, signingSecret: "whsec_" }, event())).status).toBe(400);
      expect((await deliver(without, clerk, event())).status).toBe(400);
    } finally {
      await without.stop();
    }
  });
});
