import { beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newOrganization, newPerson, ok, type Problem, request, type TestOrganization } from "../harness/organization";

interface Key {
  id: string;
  api_key: string;
  scopes: string[];
}

interface Rotated extends Key {
  expires_at: string;
  old_key_ends_at: string;
}

let org: TestOrganization;
beforeAll(async () => {
  org = await newOrganization();
});

const make = (body: object = {}) => ok(org.call<Key>("POST", "/api-keys", { name: "a key", ...body }));
const as = <T>(key: { api_key: string }, method: string, path: string, body?: unknown, headers = {}) =>
  request<T>(org.url, method, path, body, { authorization: `Bearer ${key.api_key}`, ...headers });
const works = async (key: { api_key: string }) => (await as(key, "GET", "/threads")).status;
const listed = async (id: string) => {
  const { api_keys } = await ok(
    org.call<{ api_keys: { id: string; replaced_by: string | null; user_id: string; name: string }[] }>(
      "GET",
      "/api-keys",
    ),
  );
  return api_keys.find((key) => key.id === id);
};

describe("rotating a key", () => {
  it("makes one of the same name, person and scopes, and lets the old one work for the overlap (SEC-4)", async () => {
    const old = await make({ scopes: ["threads:read"] });
    const rotated = await ok(org.call<Rotated>("POST", `/api-keys/${old.id}/rotate`, { overlap_minutes: 30 }));
    expect(rotated.scopes).toEqual(["threads:read"]);
    const minutes = (Date.parse(rotated.old_key_ends_at) - Date.now()) / 60_000;
    expect(minutes).toBeGreaterThan(25);
    expect(minutes).toBeLessThan(31);
    expect([await works(old), await works(rotated)]).toEqual([200, 200]);
    expect(await listed(old.id)).toMatchObject({ name: "a key", user_id: org.userId, replaced_by: rotated.id });
    expect(await listed(rotated.id)).toMatchObject({ name: "a key", user_id: org.userId, replaced_by: null });
  });

  it("says when a key was last used (SEC-4)", async () => {
    const key = await make();
    expect(await listed(key.id)).toMatchObject({ last_used_at: null });
    expect(await works(key)).toBe(200);
    expect(await listed(key.id)).toMatchObject({ last_used_at: expect.stringMatching(/^\d{4}-/) });
  });

  it("without an overlap ends the old one (SEC-4)", async () => {
    const old = await make();
    const rotated = await ok(org.call<Rotated>("POST", `/api-keys/${old.id}/rotate`, { overlap_minutes: 0 }));
    await expect.poll(() => works(old), { timeout: 10_000, interval: 250 }).toBe(401);
    expect(await works(rotated)).toBe(200);
  });

  it("never makes the old one live longer (SEC-4)", async () => {
    const old = await make({ days: 1 });
    const { old_key_ends_at } = await ok(
      org.call<Rotated>("POST", `/api-keys/${old.id}/rotate`, { overlap_minutes: 10_080 }),
    );
    expect(Date.parse(old_key_ends_at) - Date.now()).toBeLessThan(25 * 3_600_000);
  });

  it("is done once: by a key for itself, and again with the same answer for a retry (SEC-4, THR-6)", async () => {
    const old = await make({ scopes: ["threads:read"] });
    const headers = { "idempotency-key": old.id };
    const first = await ok(as<Rotated>(old, "POST", `/api-keys/${old.id}/rotate`, {}, headers));
    expect(await ok(as<Rotated>(old, "POST", `/api-keys/${old.id}/rotate`, {}, headers))).toEqual(first);
    const kept = await adminQuery(inject("graphyn").adminUrl, "select response from idempotency_keys where key = $1", [
      old.id,
    ]);
    expect(JSON.stringify(kept)).not.toContain(first.api_key);
    const again = await as<Problem>(old, "POST", `/api-keys/${old.id}/rotate`, {});
    expect(again.body.details).toMatchObject({ reason: "key_ended", replaced_by: first.id });
  });

  it("lets no short-lived key give itself a longer life, but one that makes keys anyway (SEC-4)", async () => {
    const left = ({ expires_at }: Rotated) => (Date.parse(expires_at) - Date.now()) / 86_400_000;
    const brief = await make({ scopes: ["threads:read"], days: 2 });
    const heir = await ok(as<Rotated>(brief, "POST", `/api-keys/${brief.id}/rotate`, { days: 365 }));
    expect(left(heir)).toBeLessThanOrEqual(2);
    const grandchild = await ok(as<Rotated>(heir, "POST", `/api-keys/${heir.id}/rotate`, {}));
    expect(left(grandchild)).toBeLessThanOrEqual(2);
    expect(left(grandchild)).toBeGreaterThan(1);
    const maker = await make({ days: 2 });
    expect(left(await ok(as<Rotated>(maker, "POST", `/api-keys/${maker.id}/rotate`, { days: 365 })))).toBeGreaterThan(
      300,
    );
  });

  it("gives the answer to no other key of the same person, which may less (SEC-4, THR-6)", async () => {
    const headers = { "idempotency-key": "a key for everything" };
    const body = { name: "everything", scopes: ["*"] };
    const first = await ok(org.call<Key>("POST", "/api-keys", body, headers));
    expect(await ok(org.call<Key>("POST", "/api-keys", body, headers))).toEqual(first);
    const manager = await make({ scopes: ["keys:manage"] });
    const again = await as<Problem>(manager, "POST", "/api-keys", body, headers);
    expect(again.body.details.reason).toBe("idempotency_key_reused");
    const rotating = { "idempotency-key": "another key for everything" };
    await ok(org.call<Rotated>("POST", `/api-keys/${first.id}/rotate`, {}, rotating));
    const rotated = await as<Problem>(manager, "POST", `/api-keys/${first.id}/rotate`, {}, rotating);
    expect(rotated.body.details.reason).toBe("idempotency_key_reused");
  });

  it("is refused for others' keys without the scope, and for keys that may more (SEC-4)", async () => {
    const other = await make();
    const narrow = await make({ scopes: ["threads:read"] });
    const manager = await make({ scopes: ["keys:manage"] });
    const rotate = (key: Key) => as<Problem>(key, "POST", `/api-keys/${other.id}/rotate`, {});
    expect((await rotate(narrow)).body.details.reason).toBe("scope_missing");
    expect((await rotate(manager)).body.details.reason).toBe("scope_beyond_own");
    await ok(org.call("DELETE", `/api-keys/${other.id}`));
    expect((await org.call<Problem>("POST", `/api-keys/${other.id}/rotate`, {})).body.details.reason).toBe("key_ended");
    const nobodys = await org.call<Problem>("POST", "/api-keys/key_01h455vb4pex5vsknk084sn02q/rotate", {});
    expect(nobodys.body.details.reason).toBe("api_key_not_found");
  });
});

describe("a key for somebody else", () => {
  it("acts for them, within their role (SEC-4, AGT-2)", async () => {
    const member = await newPerson(org, "Ada");
    const key = await make({ user_id: member });
    expect((await as<Problem>(key, "GET", "/api-keys")).body.details.reason).toBe("admin_required");
    expect(await works(key)).toBe(200);
    const unknown = await org.call<Problem>("POST", "/api-keys", {
      name: "x",
      user_id: "user_01h455vb4pex5vsknk084sn02q",
    });
    expect(unknown.body.details.reason).toBe("person_not_found");
  });

  it("is no way for an admin to become an owner (SEC-4)", async () => {
    const { id } = await ok(org.call<{ id: string }>("POST", "/people", { name: "Admin", role: "admin" }));
    const admin = await make({ user_id: id });
    const refused = await as<Problem>(admin, "POST", "/api-keys", { name: "more", user_id: org.userId });
    expect(refused).toMatchObject({ status: 403, body: { details: { reason: "owner_required" } } });
    const member = await newPerson(org, "Member");
    const kept = await ok(as<Key>(admin, "POST", "/api-keys", { name: "kept", user_id: member }));
    const again = await ok(as<Rotated>(kept, "POST", `/api-keys/${kept.id}/rotate`, {}));
    await ok(org.call("PATCH", `/people/${member}`, { role: "owner" }));
    const toOwner = (key: { api_key: string }) =>
      as<Problem>(key, "PATCH", `/people/${id}`, { role: "owner" }).then(({ body }) => body.details?.reason);
    for (const key of [kept, again]) {
      await expect.poll(() => toOwner(key), { timeout: 10_000, interval: 250 }).toBe("owner_required");
      expect((await as(key, "GET", "/api-keys")).status).toBe(200);
    }
    const theirs = await make({ user_id: member });
    expect((await as<Problem>(theirs, "POST", "/people", { name: "Another", role: "owner" })).status).toBe(200);
    const owners = await make();
    const rotated = await as<Problem>(admin, "POST", `/api-keys/${owners.id}/rotate`, {});
    expect(rotated).toMatchObject({ status: 403, body: { details: { reason: "owner_required" } } });
  });

  it("that acts as an owner is ended by owners and by itself, and no other by less than an admin (SEC-4, AGT-2)", async () => {
    const keyOf = async (role: string) => {
      const { id } = await ok(org.call<{ id: string }>("POST", "/people", { name: role, role }));
      return { ...(await make({ user_id: id })), person: id };
    };
    const roles = ["owner", "admin", "member", "guest"] as const;
    const mayEnd: Record<(typeof roles)[number], readonly string[]> = {
      owner: roles,
      admin: ["admin", "member", "guest"],
      member: [],
      guest: [],
    };
    for (const role of roles) {
      const key = await keyOf(role);
      for (const of of roles) {
        const other = await keyOf(of);
        const may = mayEnd[role].includes(of);
        const reason = role === "admin" ? "owner_required" : "admin_required";
        for (const [method, path] of [
          ["POST", `/api-keys/${other.id}/rotate`],
          ["DELETE", `/api-keys/${other.id}`],
        ] as const) {
          const answer = await as<Problem>(key, method, path, method === "POST" ? {} : undefined);
          expect(answer, `${role}: ${method} a key of the ${of}`).toMatchObject(
            may ? { status: 200 } : { status: 403, body: { details: { reason } } },
          );
        }
        expect(await works(other), `${role} and the key of the ${of}`).toBe(may ? 401 : 200);
      }
      expect((await as(key, "DELETE", `/api-keys/${key.id}`)).status, role).toBe(200);
    }
  });

  it("that an admin made for who is an owner by now acts as an admin, so admins end and rotate it (SEC-4)", async () => {
    const { id } = await ok(org.call<{ id: string }>("POST", "/people", { name: "Admin", role: "admin" }));
    const admin = await make({ user_id: id });
    const member = await newPerson(org, "Member");
    const body = { name: "theirs", user_id: member };
    const [rotated, revoked] = [
      await ok(as<Key>(admin, "POST", "/api-keys", body)),
      await ok(as<Key>(admin, "POST", "/api-keys", body)),
    ];
    await ok(org.call("PATCH", `/people/${member}`, { role: "owner" }));
    expect((await as(admin, "POST", `/api-keys/${rotated.id}/rotate`, {})).status).toBe(200);
    expect((await as(admin, "DELETE", `/api-keys/${revoked.id}`)).status).toBe(200);
  });
});
