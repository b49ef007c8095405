import { createHmac, createSign } from "node:crypto";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { newOrganization, ok, type Problem, request } from "../harness/organization";
import type { Server } from "../harness/server";
import {
  asJwk,
  type Claims,
  type ClerkInstance,
  clerkId,
  forgedToken,
  inOrganization,
  inOrganizationV1,
  membersOf,
  newInstance,
  refusals,
  seconds,
  sessionToken,
  startWithClerk,
  withToken,
} from "./clerk";

const clerk = newInstance();
let server: Server;

beforeAll(async () => {
  server = await startWithClerk(clerk);
});
afterAll(() => server?.stop());

interface People {
  people: { id: string; name: string; role: string }[];
}
const people = (token: string, at = server) => withToken<People>(at, token, "GET", "/people");
const user = () => clerkId("user");
/** What the server prints arrives here some time after its answer. */
const LOG_WAIT = { timeout: 10_000 };

/** What somebody with a made-up API key is told. */
const nobody = () => request<Problem>(server.url, "GET", "/people", undefined, { authorization: "Bearer gk_1" });

/** The token is refused as anybody is, and the log says why, once, without the token. */
async function isRefused(token: string, reason: string): Promise<void> {
  const before = refusals(server, reason);
  expect(await people(token)).toEqual(await nobody());
  await expect.poll(() => refusals(server, reason), LOG_WAIT).toBe(before + 1);
  for (const part of token.split(".")) if (part.length > 20) expect(server.output()).not.toContain(part);
}

describe("a session token of Clerk is refused, with the reason in the log and not in the answer,", () => {
  const by = (claims: Claims = {}, header: Claims = {}) => sessionToken(clerk, { sub: user(), ...claims }, header);
  const hmac = (text: string, key = clerk.publicKey) => createHmac("sha256", key).update(text).digest("base64url");

  it("when it is signed with another algorithm, though with the right key (SEC-3)", async () => {
    const sha512 = (text: string) => createSign("RSA-SHA512").update(text).sign(clerk.privateKey).toString("base64url");
    await isRefused(forgedToken(clerk, { sub: user() }, { alg: "RS512" }, sha512), "wrong_algorithm");
  });

  it("when it is not signed: `none`, in any spelling (SEC-3)", async () => {
    for (const alg of ["none", "None", "NONE"])
      await isRefused(
        forgedToken(clerk, { sub: user() }, { alg }, () => "eA"),
        "wrong_algorithm",
      );
    const bare = forgedToken(clerk, { sub: user() }, { alg: "none" }, () => "");
    await isRefused(bare, "wrong_algorithm");
  });

  it("when the public key was taken for a shared secret: HS256 in place of RS256 (SEC-3)", async () => {
    await isRefused(forgedToken(clerk, { sub: user() }, { alg: "HS256" }, hmac), "wrong_algorithm");
    await isRefused(forgedToken(clerk, { sub: user() }, { alg: "RS256" }, hmac), "wrong_signature");
  });

  it("when its claims were changed after signing (SEC-3)", async () => {
    const [head, , signature] = by().split(".");
    const [, body] = by(inOrganization(clerkId("org"), "admin")).split(".");
    await isRefused(`${head}.${body}.${signature}`, "wrong_signature");
  });

  it("when it is another instance's (SEC-3)", async () => {
    await isRefused(sessionToken(newInstance(), { sub: user() }), "wrong_signature");
    await isRefused(sessionToken({ ...newInstance(), issuer: clerk.issuer }, { sub: user() }), "wrong_signature");
  });

  it("when another issuer stands in it (SEC-3)", async () => {
    await isRefused(by({ iss: "https://evil.clerk.accounts.dev" }), "wrong_issuer");
    await isRefused(by({ iss: undefined }), "wrong_issuer");
  });

  it("when it was made for another party, or for none (SEC-3)", async () => {
    await isRefused(by({ azp: "https://evil.example.com" }), "wrong_party");
    await isRefused(by({ azp: undefined }), "wrong_party");
  });

  it("when it has expired, but for the clock's skew (SEC-3)", async () => {
    await isRefused(by({ exp: seconds(-10), iat: seconds(-70) }), "expired");
    await isRefused(by({ exp: undefined }), "bad_claims");
    expect((await people(by({ exp: seconds(-2), iat: seconds(-62) }))).status).toBe(200);
  });

  it("when it is not yet valid, but for the clock's skew (SEC-3)", async () => {
    await isRefused(by({ nbf: seconds(30) }), "not_yet_valid");
    await isRefused(by({ iat: seconds(30) }), "not_yet_valid");
    expect((await people(by({ nbf: seconds(2), iat: seconds(2) }))).status).toBe(200);
  });

  it("when it is no session's: a template's, a machine's, an OAuth client's (SEC-3)", async () => {
    await isRefused(by({ sid: undefined }), "no_session");
    await isRefused(by({ sub: "mch_2abc" }), "no_session");
    await isRefused(by({}, { typ: "at+jwt" }), "wrong_type");
  });

  it("when the session still has something to do, or somebody else acts in it (SEC-3)", async () => {
    await isRefused(by({ sts: "pending" }), "session_pending");
    await isRefused(by({ act: { sub: "user_support" } }), "impersonated");
  });

  it("when its organization cannot be understood: it is not taken for none (SEC-3)", async () => {
    await isRefused(by({ o: { id: 7, rol: "admin" } }), "bad_claims");
    await isRefused(by({ o: { id: clerkId("org") } }), "bad_claims");
    await isRefused(by({ o: "org_1" }), "bad_claims");
    await isRefused(by({ ...inOrganizationV1(clerkId("org")), org_id: "../org_1" }), "bad_claims");
    await isRefused(by({ v: 3 }), "bad_claims");
  });

  it("when it is no token at all (SEC-3)", async () => {
    for (const text of ["a.b.c", "..", `${"x".repeat(9_000)}.y.z`, "gk_1.2.3", `${by()}.more`])
      await isRefused(text, "malformed");
  });

  it("in a cookie, as an API key, and where there is no Clerk: all is by API keys then (SEC-3)", async () => {
    const token = by();
    const get = (headers: Record<string, string>) => request<Problem>(server.url, "GET", "/people", undefined, headers);
    expect(await get({ "x-api-key": token })).toEqual(await nobody());
    expect((await get({ cookie: `__session=${token}` })).status).toBe(401);
    const without = inject("graphyn");
    const headers = { authorization: `Bearer ${token}` };
    expect(await request<Problem>(without.url, "GET", "/people", undefined, headers)).toEqual(await nobody());
    expect((await people(token)).status).toBe(200);
    const org = await newOrganization({ ...without, url: server.url });
    expect((await org.call("GET", "/people")).status).toBe(200);
  });
});

describe("a session token of Clerk", () => {
  it("is taken in both versions, with the active organization and the role in it (SEC-3)", async () => {
    const [org, ada, bob] = [clerkId("org"), user(), user()];
    const second = await ok(people(sessionToken(clerk, { sub: ada, ...inOrganization(org, "admin", "acme-ltd") })));
    const first = await ok(people(sessionToken(clerk, { sub: bob, ...inOrganizationV1(org, "org:member") })));
    const [adas] = await membersOf(ada);
    const [bobs] = await membersOf(bob);
    expect(adas).toMatchObject({ role: "admin", org_name: "acme-ltd" });
    expect(bobs).toMatchObject({ role: "member", org_id: adas?.org_id });
    expect(second.people.map(({ id }) => id)).toEqual([adas?.user_id]);
    expect(first.people.map(({ id }) => id)).toEqual([adas?.user_id, bobs?.user_id]);
  });

  it("gives Clerk's roles what they mean here; a role of the instance's own is a member's (SEC-3, SEC-4)", async () => {
    const org = clerkId("org");
    const roles = { owner: "owner", admin: "admin", member: "member", guest: "guest", billing_admin: "member" };
    for (const [rol, role] of Object.entries(roles)) {
      for (const claims of [inOrganization(org, rol), inOrganizationV1(org, `org:${rol}`)]) {
        const sub = user();
        const token = sessionToken(clerk, { sub, ...claims });
        await ok(withToken(server, token, "GET", "/threads"));
        expect(await membersOf(sub)).toMatchObject([{ role }]);
        const keys = await withToken(server, token, "GET", "/api-keys");
        expect(keys.status).toBe(role === "owner" || role === "admin" ? 200 : 403);
      }
    }
    for (const name of ["constructor", "__proto__"]) {
      const sub = user();
      await ok(people(sessionToken(clerk, { sub, ...inOrganization(org, name) })));
      expect(await membersOf(sub)).toMatchObject([{ role: "member" }]);
    }
  });

  it("without an organization opens the person's own one, which they own alone (SEC-3)", async () => {
    const [ada, bob] = [user(), user()];
    for (const claims of [{}, { v: 1, sts: undefined }]) await ok(people(sessionToken(clerk, { sub: ada, ...claims })));
    await ok(people(sessionToken(clerk, { sub: bob })));
    const places = [...(await membersOf(ada)), ...(await membersOf(bob))];
    expect(places).toMatchObject([{ role: "owner" }, { role: "owner" }]);
    expect(new Set(places.map(({ org_id }) => org_id)).size).toBe(2);
  });

  it("opens nothing of another organization, though the same person is in both (SEC-1, SEC-3)", async () => {
    const sub = user();
    const [here, there] = [clerkId("org"), clerkId("org")].map((id) =>
      sessionToken(clerk, { sub, ...inOrganization(id) }),
    );
    const thread = await ok(
      withToken<{ thread: { id: string } }>(server, here ?? "", "POST", "/threads", { title: "here" }),
    );
    const path = `/threads/${thread.thread.id}`;
    expect((await withToken(server, here ?? "", "GET", path)).status).toBe(200);
    expect((await withToken(server, there ?? "", "GET", path)).status).toBe(404);
    expect((await withToken(server, sessionToken(clerk, { sub }), "GET", path)).status).toBe(404);
    const places = await membersOf(sub);
    expect(new Set(places.map(({ user_id }) => user_id)).size).toBe(3);
  });

  it("of another instance opens another organization, though the ids are the same (SEC-1, SEC-3)", async () => {
    const elsewhere = newInstance();
    const other = await startWithClerk(elsewhere);
    try {
      const claims = { sub: user(), ...inOrganization(clerkId("org"), "admin") };
      await ok(people(sessionToken(clerk, claims)));
      await ok(people(sessionToken(elsewhere, claims), other));
      const places = await membersOf(claims.sub);
      expect(new Set(places.map(({ org_id }) => org_id)).size).toBe(2);
    } finally {
      await other.stop();
    }
  });

  it("makes one organization, one person and one membership of fifty first requests at once (SEC-3)", async () => {
    const [org, sub] = [clerkId("org"), user()];
    const two = await startWithClerk(clerk);
    try {
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, n) => {
          const token = sessionToken(clerk, { sub, sid: `sess_${n % 10}`, ...inOrganization(org, "admin") });
          return people(token, n % 2 ? server : two);
        }),
      );
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 200));
      expect(await membersOf(sub)).toMatchObject([{ role: "admin" }]);
    } finally {
      await two.stop();
    }
  });

  it("follows a new role at once, and an older token does not take it back (SEC-3)", async () => {
    const [org, sub] = [clerkId("org"), user()];
    const role = async () => (await membersOf(sub))[0]?.role;
    const by = (rol: string, iat: number) => sessionToken(clerk, { sub, iat, ...inOrganization(org, rol) });
    await ok(people(by("member", seconds(-30))));
    expect(await role()).toBe("member");
    const keys = (token: string) => withToken(server, token, "GET", "/api-keys");
    const older = by("member", seconds(-20));
    expect((await keys(by("admin", seconds(-10)))).status).toBe(200);
    expect((await keys(older)).status).toBe(200); // its organization is what it says, its role what was said last
    expect(await role()).toBe("admin");
    expect((await keys(by("member", seconds(-5)))).status).toBe(403);
    expect(await role()).toBe("member");
  });

  it("brings a name where the instance puts one into its tokens, on one line (SEC-3)", async () => {
    const sub = user();
    const named = (name: string, iat = seconds()) => sessionToken(clerk, { sub, name, iat });
    expect((await ok(people(named("Ada\r\nX-Evil: 1", seconds(-20))))).people[0]?.name).toBe("Ada X-Evil: 1");
    expect((await ok(people(named("Ada Byron", seconds(-10))))).people[0]?.name).toBe("Ada Byron");
    expect((await ok(people(named("Older", seconds(-15))))).people[0]?.name).toBe("Ada Byron");
  });
});

describe("Clerk's keys, where only the secret key is known,", () => {
  let keys: HttpServer;
  let asked: (string | undefined)[] = [];
  let published: ClerkInstance[] = [clerk];
  let isAway = false;
  let remote: Server;
  const start = async () =>
    startWithClerk(clerk, {
      CLERK_JWT_KEY: "",
      CLERK_SECRET_KEY: "sk_test_of_this_test",
      CLERK_API_URL: `http://127.0.0.1:${(keys.address() as AddressInfo).port}`,
    });

  beforeAll(async () => {
    keys = createServer((req, resp) => {
      asked.push(`${req.method} ${req.url} ${req.headers.authorization}`);
      if (isAway) return void resp.writeHead(503).end("{}");
      resp.setHeader("content-type", "application/json");
      resp.end(JSON.stringify({ keys: published.map(asJwk) }));
    });
    await new Promise<void>((resolve) => keys.listen(0, "127.0.0.1", resolve));
    remote = await start();
  });
  afterAll(async () => {
    await remote?.stop();
    keys?.close();
  });

  it("are asked for once, with it, for any number of tokens and people at once (SEC-3)", async () => {
    asked = [];
    const tokens = Array.from({ length: 20 }, () => sessionToken(clerk, { sub: user() }));
    const answers = await Promise.all(tokens.map((token) => people(token, remote)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    await Promise.all(tokens.map((token) => ok(people(token, remote))));
    expect(asked).toEqual(["GET /v1/jwks Bearer sk_test_of_this_test"]);
  });

  it("are not asked for at each made-up key id (SEC-3)", async () => {
    asked = [];
    const stranger = { ...newInstance(), issuer: clerk.issuer };
    for (let n = 0; n < 20; n++) {
      const refused = await people(sessionToken({ ...stranger, kid: `ins_${n}` }, { sub: user() }), remote);
      expect(refused).toEqual(await nobody());
    }
    expect(asked.length).toBeLessThanOrEqual(1);
    await expect.poll(() => refusals(remote, "unknown_key"), LOG_WAIT).toBe(20);
  });

  it("are asked for again when a token names a new one (SEC-3)", async () => {
    const next = { ...newInstance(), issuer: clerk.issuer };
    published = [clerk, next];
    const token = sessionToken(next, { sub: user() });
    await expect.poll(async () => (await people(token, remote)).status, { timeout: 20_000, interval: 500 }).toBe(200);
    expect((await people(sessionToken(clerk, { sub: user() }), remote)).status).toBe(200);
  });

  it("cannot be had: then it is said so, as no fault of the token's, and tokens of API keys go on (SEC-3)", async () => {
    isAway = true;
    const cold = await start();
    try {
      const { status, body } = await withToken<Problem>(cold, sessionToken(clerk, { sub: user() }), "GET", "/people");
      expect([status, body.details.reason]).toEqual([503, "sign_in_unavailable"]);
      const org = await newOrganization({ ...inject("graphyn"), url: cold.url });
      expect((await org.call("GET", "/people")).status).toBe(200);
      expect((await people(sessionToken(clerk, { sub: user() }), remote)).status).toBe(200);
      expect(cold.output()).not.toContain("sk_test_of_this_test");
    } finally {
      isAway = false;
      await cold.stop();
    }
  });
});
