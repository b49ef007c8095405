import pg from "pg";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { newKey } from "../../organizations/key-format";
import { adminQuery } from "../harness/database";
import {
  newAgent,
  newOrganization,
  newPerson,
  newThread,
  ok,
  type Problem,
  request,
  type TestOrganization,
} from "../harness/organization";
import { ofType, openStream, turnsEnded } from "../harness/stream";

interface Accepted {
  organization_id: string;
  user_id: string;
  thread_id: string;
  api_key: string;
  scopes: string[];
}

let host: TestOrganization;
let home: TestOrganization;
let agent: string;
beforeAll(async () => {
  [host, home] = await Promise.all([newOrganization(), newOrganization()]);
  agent = await newAgent(host, "Helper", "openai-proxy/dev-echo");
});

const invite = async (thread: string, body: object = {}) =>
  ok(host.call<{ id: string; token: string }>("POST", `/threads/${thread}/invitations`, body));
const accept = (who: TestOrganization, token: string) =>
  who.call<Accepted & Problem>("POST", "/invitations/accept", { token });
const as = (key: string, method: string, path: string, body?: unknown) =>
  request<Problem>(host.url, method, path, body, { authorization: `Bearer ${key}` });

describe("an invitation into a thread of another organization", () => {
  it("makes whoever accepts a guest of that thread, who speaks and hears agents there (AGT-2)", async () => {
    const id = await newThread(host, [agent]);
    const accepted = await ok(accept(home, (await invite(id)).token));
    expect(accepted).toMatchObject({ organization_id: host.orgId, thread_id: id });
    expect(accepted.scopes).toEqual([`threads:${id}:*`, `messages:${id}:*`]);
    const guest: TestOrganization = {
      ...host,
      userId: accepted.user_id,
      apiKey: accepted.api_key,
      call: (method, path, body, headers) =>
        request(host.url, method, path, body, { authorization: `Bearer ${accepted.api_key}`, ...headers }),
    };
    const stream = await openStream(guest, id);
    await ok(guest.call("POST", `/threads/${id}/messages`, { content: "hello from the other side" }));
    await stream.until(turnsEnded(1));
    const { people } = await ok(host.call<{ people: { id: string; role: string; name: string }[] }>("GET", "/people"));
    expect(people.find((person) => person.id === accepted.user_id)).toMatchObject({ role: "guest", name: "Owner" });

    const { participants } = await ok(
      host.call<{ participants: { id: string; user_id: string | null }[] }>("GET", `/threads/${id}/participants`),
    );
    const seat = participants.find(({ user_id }) => user_id === accepted.user_id);
    await ok(host.call("DELETE", `/threads/${id}/participants/${seat?.id}`));
    await stream.until((received) => ofType(received, "error").some(({ reason }) => reason === "not_in_thread"));
    expect((await guest.call("GET", `/threads/${id}`)).status).toBe(404);
  });

  it("is what it takes to bring a guest into a thread: a speaker cannot, neither by id nor by merging another thread in (AGT-2)", async () => {
    const speaker = await newPerson(host, "Speaker");
    const { api_key } = await ok(host.call<{ api_key: string }>("POST", "/api-keys", { name: "s", user_id: speaker }));
    const { body: theirs } = await request<{ thread: { id: string } }>(
      host.url,
      "POST",
      "/threads",
      {},
      {
        authorization: `Bearer ${api_key}`,
      },
    );
    const { user_id } = await ok(accept(home, (await invite(theirs.thread.id)).token));
    const room = await newThread(host, [], [speaker]);
    const guests = { people: [user_id] };
    const byId = await as(api_key, "POST", `/threads/${room}/participants`, guests);
    expect(byId.body.details).toMatchObject({ reason: "role_not_allowed", action: "invite_guests" });
    const byMerging = await as(api_key, "POST", `/threads/${room}/merge`, { from_thread_id: theirs.thread.id });
    expect(byMerging.body.details).toMatchObject({ reason: "role_not_allowed", action: "invite_guests" });
    // In a thread of which they are the host, and for whoever is here already, it is theirs to do.
    expect((await as(api_key, "POST", `/threads/${theirs.thread.id}/participants`, guests)).status).toBe(200);
    await ok(host.call("POST", `/threads/${room}/participants`, guests));
    expect((await as(api_key, "POST", `/threads/${room}/participants`, guests)).status).toBe(200);
    expect((await as(api_key, "POST", `/threads/${room}/merge`, { from_thread_id: theirs.thread.id })).status).toBe(
      200,
    );
  });

  it("makes nobody a host: a guest hosts no thread, by whatever call, and the database says so too (AGT-2)", async () => {
    const id = await newThread(host);
    const { user_id } = await ok(accept(home, (await invite(id)).token));
    const { participants } = await ok(
      host.call<{ participants: { id: string; user_id: string | null }[] }>("GET", `/threads/${id}/participants`),
    );
    const seat = (user: string) => participants.find((p) => p.user_id === user)?.id ?? "";
    const [guest, owner] = [seat(user_id), seat(host.userId)];
    const other = await newThread(host);
    for (const [method, path, body] of [
      ["PATCH", `/threads/${id}/participants/${guest}`, { role: "host" }],
      ["PATCH", `/threads/${id}/participants/${owner}`, { role: "speaker", new_host: guest }],
      ["DELETE", `/threads/${id}/participants/${owner}?new_host=${guest}`],
      ["POST", `/threads/${other}/participants`, { people: [user_id], role: "host" }],
    ] as [string, string, object?][]) {
      const refused = await host.call<Problem>(method, path, body);
      expect(refused, `${method} ${path}`).toMatchObject({
        status: 400,
        body: { details: { reason: "guest_is_no_host" } },
      });
    }
    const roles = async (thread: string) =>
      (
        await ok(
          host.call<{ participants: { user_id: string; role: string }[] }>("GET", `/threads/${thread}/participants`),
        )
      ).participants.map((p) => [p.user_id, p.role]);
    expect(await roles(id)).toEqual([
      [host.userId, "host"],
      [user_id, "speaker"],
    ]);
    expect(await roles(other)).toEqual([[host.userId, "host"]]);

    const client = new pg.Client({ connectionString: inject("graphyn").databaseUrl });
    await client.connect();
    try {
      await client.query("begin");
      await client.query("select set_config('role', 'graphyn_tenant', true), set_config('graphyn.org_id', $1, true)", [
        host.orgId,
      ]);
      const made = client.query("update participants set role = 'host' where id = $1", [guest]);
      await expect(made).rejects.toThrow("a guest hosts no thread");
    } finally {
      await client.end();
    }
  });

  it("shows the guest nothing else, and either organization nothing of the other (AGT-2, SEC-1)", async () => {
    const [id, other] = [await newThread(host), await newThread(host)];
    const { api_key, user_id } = await ok(accept(home, (await invite(id)).token));
    for (const path of [
      `/threads/${other}`,
      "/threads",
      "/people",
      "/agents",
      "/api-keys",
      "/search?q=x",
      "/letta/health",
    ])
      expect((await as(api_key, "GET", path)).status, path).toBe(403);
    const theirs = JSON.stringify([
      await host.call("GET", "/people"),
      await host.call("GET", "/api-keys"),
      await host.call("GET", `/threads/${id}`),
      await host.call("GET", `/threads/${id}/invitations`),
    ]);
    expect(theirs).toContain(user_id);
    for (const secret of [home.orgId, home.userId]) expect(theirs).not.toContain(secret);
    const own = JSON.stringify([await home.call("GET", "/threads"), await home.call("GET", "/people")]);
    for (const secret of [host.orgId, id, user_id]) expect(own).not.toContain(secret);
    const rows = await adminQuery(inject("graphyn").adminUrl, "select * from users where org_id = $1", [host.orgId]);
    for (const secret of [home.orgId, home.userId]) expect(JSON.stringify(rows)).not.toContain(secret);
  });

  it("gives the same person the same guest in every thread, and another person another (AGT-2)", async () => {
    const [one, two] = [await newThread(host), await newThread(host)];
    const first = await ok(accept(home, (await invite(one)).token));
    const second = await ok(accept(home, (await invite(two)).token));
    expect(second.user_id).toBe(first.user_id);
    expect((await as(first.api_key, "GET", `/threads/${two}`)).body.details.reason).toBe("scope_missing");
    expect((await as(second.api_key, "GET", `/threads/${two}`)).status).toBe(200);
    const third = await ok(accept(await newOrganization(), (await invite(one)).token));
    expect(third.user_id).not.toBe(first.user_id);
  });

  it("is good once, also when two accept at the same instant (AGT-2)", async () => {
    const { token } = await invite(await newThread(host));
    const others = await Promise.all([newOrganization(), newOrganization(), newOrganization()]);
    const statuses = (await Promise.all(others.map((other) => accept(other, token)))).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 404, 404]);
  });

  it("unknown, used, revoked and ended tokens are one answer (AGT-2, SEC-1)", async () => {
    const id = await newThread(host);
    const [used, revoked, ended] = [await invite(id), await invite(id), await invite(id)];
    await ok(accept(home, used.token));
    await ok(host.call("DELETE", `/threads/${id}/invitations/${revoked.id}`));
    await adminQuery(
      inject("graphyn").adminUrl,
      "update thread_invitations set expires_at = now() - interval '1 second' where id = $1",
      [ended.id],
    );
    const tokens = [used.token, revoked.token, ended.token, newKey(host.orgId, "gi_"), newKey(home.orgId), "gi_x"];
    const answers = await Promise.all(tokens.map((token) => accept(home, token)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]).toMatchObject({ status: 404, body: { details: { reason: "invitation_not_found" } } });
    const text = JSON.stringify(await ok(host.call("GET", `/threads/${id}/invitations`)));
    for (const token of tokens) expect(text).not.toContain(token);
  });

  it("is made by hosts and admins, and is not for one's own people (AGT-2)", async () => {
    const member = await newPerson(host, "Member");
    const { api_key } = await ok(host.call<{ api_key: string }>("POST", "/api-keys", { name: "m", user_id: member }));
    const id = await newThread(host, [], [member]);
    const refused = await as(api_key, "POST", `/threads/${id}/invitations`, {});
    expect(refused).toMatchObject({ status: 403, body: { details: { reason: "role_not_allowed" } } });
    expect((await as(api_key, "GET", `/threads/${id}/invitations`)).status).toBe(403);
    const { token } = await invite(id);
    const own = await as(api_key, "POST", "/invitations/accept", { token });
    expect(own.body.details.reason).toBe("own_organization");
  });

  it("ends with its bounds: open ones, and hours (AGT-2)", async () => {
    const id = await newThread(host);
    for (const hours of [0, 721, 1.5])
      expect((await host.call("POST", `/threads/${id}/invitations`, { hours })).status).toBe(400);
    await adminQuery(
      inject("graphyn").adminUrl,
      `insert into thread_invitations (org_id, thread_id, id, hash, role, created_by, expires_at)
       select $1, $2, 'inv_' || n, n::text::bytea, 'speaker', $3, now() + interval '1 hour' from generate_series(1, 50) n`,
      [host.orgId, id, host.userId],
    );
    const more = await host.call<Problem>("POST", `/threads/${id}/invitations`, {});
    expect(more.body.details).toMatchObject({ reason: "too_many_invitations", invitations_max: 50 });
  });
});
