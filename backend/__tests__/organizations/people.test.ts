import { beforeEach, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, newThread, ok, type Problem, request, type TestOrganization } from "../harness/organization";
import { ofType, openStream } from "../harness/stream";
import { openSocket } from "../realtime/socket";

type Person = TestOrganization & { keyId: string };

let org: TestOrganization;
beforeEach(async () => {
  org = await newOrganization();
});

async function person(role: string): Promise<Person> {
  const { id } = await ok(org.call<{ id: string }>("POST", "/people", { name: role, role }));
  const key = await ok(org.call<{ id: string; api_key: string }>("POST", "/api-keys", { name: "key", user_id: id }));
  return {
    ...org,
    userId: id,
    apiKey: key.api_key,
    keyId: key.id,
    call: (method, path, body, headers) =>
      request(org.url, method, path, body, { authorization: `Bearer ${key.api_key}`, ...headers }),
  };
}

const reasonOf = async (answer: Promise<{ status: number; body: Problem }>) => (await answer).body.details?.reason;

describe("people's roles in the organization", () => {
  it("are changed by admins, and owners are made and unmade by owners alone (AGT-2)", async () => {
    const [admin, member] = [await person("admin"), await person("member")];
    expect(await ok(admin.call("PATCH", `/people/${member.userId}`, { role: "guest" }))).toMatchObject({
      id: member.userId,
      role: "guest",
    });
    expect(await reasonOf(admin.call("PATCH", `/people/${member.userId}`, { role: "owner" }))).toBe("owner_required");
    expect(await reasonOf(admin.call("PATCH", `/people/${org.userId}`, { role: "member" }))).toBe("owner_required");
    expect(await reasonOf(admin.call("DELETE", `/people/${org.userId}`))).toBe("owner_required");
    expect(await reasonOf(admin.call("POST", "/people", { name: "x", role: "owner" }))).toBe("owner_required");
    await ok(org.call("PATCH", `/people/${member.userId}`, { role: "owner" }));
    await ok(org.call("DELETE", `/people/${member.userId}`));
  });

  it("leave an owner, also when two go at once (AGT-2)", async () => {
    expect(await reasonOf(org.call("PATCH", `/people/${org.userId}`, { role: "member" }))).toBe("last_owner");
    expect(await reasonOf(org.call("DELETE", `/people/${org.userId}`))).toBe("last_owner");
    const second = await person("owner");
    const both = await Promise.all([
      org.call("PATCH", `/people/${org.userId}`, { role: "member" }),
      second.call("PATCH", `/people/${second.userId}`, { role: "member" }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 400]);
  });

  it("end what is open when they change, to come back as what one is now (AGT-2)", async () => {
    const admin = await person("admin");
    const id = await newThread(org);
    const [socket, stream] = [await openSocket(admin, id), await openStream(admin, id)];
    await socket.first("welcome");
    await ok(org.call("PATCH", `/people/${admin.userId}`, { role: "member" }));
    expect(await socket.first("bye")).toMatchObject({ reason: "role_changed", reconnect: true });
    await stream.until((received) => ofType(received, "error").some(({ reason }) => reason === "role_changed"));
    await expect.poll(async () => (await admin.call("GET", "/api-keys")).status, { timeout: 10_000 }).toBe(403);
  });
});

describe("a host who becomes a guest", () => {
  it("is host no more: the thread says so, and the member who came first is host (AGT-2)", async () => {
    const [host, ben] = [await person("member"), await person("member")];
    const { thread } = await ok(host.call<{ thread: { id: string } }>("POST", "/threads", { people: [ben.userId] }));
    const alone = await ok(host.call<{ thread: { id: string } }>("POST", "/threads", {}));
    const stream = await openStream(ben, thread.id);
    await ok(org.call("PATCH", `/people/${host.userId}`, { role: "guest" }));

    const told = await stream.until(
      (all) => ofType(all, "participant").filter((p) => p.action === "role_changed").length >= 2,
    );
    await stream.close();
    expect(ofType(told, "participant").slice(-2)).toMatchObject([
      { action: "role_changed", role: "host" },
      { action: "role_changed", role: "speaker" },
    ]);
    const roles = async (id: string) =>
      (
        await ok(org.call<{ participants: { user_id: string; role: string }[] }>("GET", `/threads/${id}/participants`))
      ).participants.map(({ user_id, role }) => [user_id, role]);
    expect(await roles(thread.id)).toEqual([
      [host.userId, "speaker"],
      [ben.userId, "host"],
    ]);
    await expect.poll(() => roles(alone.thread.id), { timeout: 10_000 }).toEqual([[host.userId, "speaker"]]);
    const { entries } = await ok(org.call<{ entries: object[] }>("GET", `/audit?target=${thread.id}`));
    expect(entries[0]).toMatchObject({
      action: "thread.participant_role_changed",
      actor: { kind: "system" },
      change: {
        participants: [
          { person: ben.userId, role: "host" },
          { person: host.userId, role: "speaker" },
        ],
      },
    });
    expect(await ok(org.call("GET", "/audit/verify"))).toMatchObject({ intact: true });
  });
});

describe("a person who comes from Clerk", () => {
  it("is changed and removed there (SEC-3, AGT-2)", async () => {
    const member = await person("member");
    await adminQuery(inject("graphyn").adminUrl, "update users set external_id = 'user_2abc' where id = $1", [
      member.userId,
    ]);
    const change = org.call<Problem>("PATCH", `/people/${member.userId}`, { role: "admin" });
    expect(await reasonOf(change)).toBe("managed_by_clerk");
    expect(await reasonOf(org.call("DELETE", `/people/${member.userId}`))).toBe("managed_by_clerk");
    expect((await member.call("GET", "/threads")).status).toBe(200);
  });
});

describe("a person who is removed", () => {
  it("has no key and nothing open any more; what they said stays (SEC-4)", async () => {
    const member = await person("member");
    const id = await newThread(org, [], [member.userId]);
    await ok(member.call("POST", `/threads/${id}/messages`, { content: "I was here" }));
    const [socket, stream] = [await openSocket(member, id), await openStream(member, id)];
    await socket.first("welcome");
    await ok(org.call("DELETE", `/people/${member.userId}`));
    expect(await socket.first("bye")).toMatchObject({ reason: "key_invalid", reconnect: false });
    await stream.until((received) => ofType(received, "error").some(({ reason }) => reason === "key_invalid"));
    await expect.poll(async () => (await member.call("GET", "/threads")).status, { timeout: 10_000 }).toBe(401);
    expect(JSON.stringify(await ok(org.call("GET", `/threads/${id}/messages`)))).toContain("I was here");
    expect(JSON.stringify(await ok(org.call("GET", "/people")))).not.toContain(member.userId);
    expect(await reasonOf(org.call("DELETE", `/people/${member.userId}`))).toBe("person_not_found");
  });

  it("leaves the threads they took part in, which say so, and is present in none (SEC-4, THR-2)", async () => {
    const [host, ana, ben] = [await person("member"), await person("guest"), await person("member")];
    const made = await ok(
      host.call<{ thread: { id: string } }>("POST", "/threads", { people: [ana.userId, ben.userId] }),
    );
    const mine = await newThread(org, [], [host.userId]);
    const quiet = await newThread(org, [], [ben.userId]);
    await ok(host.call("POST", `/threads/${made.thread.id}/messages`, { content: "I was here" }));
    const [watching, present] = [await openSocket(ben, made.thread.id), await openSocket(host, made.thread.id)];
    await Promise.all([watching.first("welcome"), present.first("welcome")]);
    const stream = await openStream(ben, made.thread.id);
    await ok(org.call("DELETE", `/people/${host.userId}`));

    const told = await stream.until((received) => ofType(received, "participant").some((p) => p.action === "left"));
    expect(ofType(told, "participant").slice(-2)).toMatchObject([
      { action: "role_changed", name: "member", role: "host" },
      { action: "left", name: "member", kind: "user" },
    ]);
    const people = async (thread: string) => {
      const { participants } = await ok(
        org.call<{ participants: { user_id: string; role: string }[] }>("GET", `/threads/${thread}/participants`),
      );
      return participants.map(({ user_id, role }) => [user_id, role]);
    };
    // The member who came first, not the guest who did.
    expect(await people(made.thread.id)).toEqual([
      [ana.userId, "speaker"],
      [ben.userId, "host"],
    ]);
    await expect.poll(() => people(mine), { timeout: 10_000 }).toEqual([[org.userId, "host"]]);
    expect(await people(quiet)).toHaveLength(2); // they were not there
    const messages = JSON.stringify(await ok(org.call("GET", `/threads/${made.thread.id}/messages`)));
    expect(messages).toContain("I was here");
    expect(messages).toContain("member left the conversation.");

    await expect
      .poll(
        async () => {
          const socket = await openSocket(ben, made.thread.id);
          const { people: there } = await socket.first("welcome");
          socket.cut();
          return there.map(({ user_id }) => user_id);
        },
        { timeout: 20_000, interval: 500 },
      )
      .toEqual([ben.userId]);
    const { entries } = await ok(org.call<{ entries: object[] }>("GET", `/audit?target=${made.thread.id}`));
    expect(entries[0]).toMatchObject({
      action: "thread.participant_removed",
      actor: { kind: "system" },
      change: { removed: { person: host.userId, role: "host" }, participants: [{ person: ben.userId, role: "host" }] },
    });
    expect(await ok(org.call("GET", "/audit/verify"))).toMatchObject({ intact: true });
  });
});
