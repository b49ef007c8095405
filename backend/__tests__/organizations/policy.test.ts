import { beforeAll, describe, expect, it } from "vitest";
import { POLICY, type Policy, type Role, SOCKET_POLICY } from "../../organizations/policy";
import { ACTIONS, type Scope } from "../../organizations/scopes";
import openapi from "../../system/openapi.gen.json";
import { newOrganization, newThread, ok, type Problem, request, type TestOrganization } from "../harness/organization";
import { openSocket } from "../realtime/socket";

interface Operation {
  parameters?: { name: string; in: string; required?: boolean; example?: unknown }[];
  requestBody?: { content: Record<string, { example?: unknown }> };
}

interface Key {
  id: string;
  api_key: string;
}

const ROLES: Role[] = ["owner", "admin", "member", "guest"];
const SCOPES = Object.entries(ACTIONS).flatMap(([resource, actions]) =>
  actions.map((action) => `${resource}:${action}` as Scope),
);
const REFUSALS = new Set(["admin_required", "member_required", "owner_required"]);
const NOBODYS = "thread_01h455vb4pex5vsknk084sn02q";
const rows = Object.entries(POLICY) as [keyof typeof POLICY, Policy][];

let org: TestOrganization;
/** Somebody of each role, with a key that may everything. */
let people: Record<Role, Key & { userId: string }>;
/** The owner's: a key with this scope alone, and one with all others. */
let only: Record<Scope, Key>;
let without: Record<Scope, Key>;

beforeAll(async () => {
  org = await newOrganization();
  const entries = await Promise.all(ROLES.map(async (role) => [role, await somebody(role)] as const));
  people = Object.fromEntries(entries) as typeof people;
  const each = async (scopesOf: (scope: Scope) => string[]) =>
    Object.fromEntries(
      await Promise.all(SCOPES.map(async (scope) => [scope, await keyWith(scopesOf(scope))] as const)),
    ) as Record<Scope, Key>;
  only = await each((scope) => [scope]);
  without = await each((scope) => SCOPES.filter((other) => other !== scope));
});

async function somebody(role: Role) {
  const { id } = await ok(org.call<{ id: string }>("POST", "/people", { name: role, role }));
  return { userId: id, ...(await keyOf(id)) };
}

const keyOf = (user_id: string) => ok(org.call<Key>("POST", "/api-keys", { name: "theirs", user_id }));
const keyWith = (scopes: string[]) => ok(org.call<Key>("POST", "/api-keys", { name: "a key", scopes }));

/** Where the document's example would do something that later requests miss. */
const EXAMPLES: Partial<Record<keyof typeof POLICY, (key: Key) => Promise<{ path?: string; body?: object }>>> = {
  revokeApiKey: async ({ id }) => ({ path: `/api-keys/${id}` }),
  /** An owner, who is made by owners alone. */
  addPerson: async () => ({ body: { name: "Ada" } }),
  rotateApiKey: async ({ id }) => ({ path: `/api-keys/${id}/rotate` }),
};

/** Sends the document's own example of an endpoint: of ids that are not there, so that whoever may call it is told so. */
async function send(name: keyof typeof POLICY, key: Key) {
  const [method = "", template = ""] = POLICY[name].at.split(" ");
  if (name === "collaborate") return overSocket(key, NOBODYS);
  const operations = openapi.paths as unknown as Record<string, Record<string, Operation>>;
  const operation = operations[template]?.[method.toLowerCase()];
  if (!operation) throw new Error(`${POLICY[name].at} is not in the document`);
  const path = template.replace(/\{(\w+)\}/g, (_, of) => exampleOf(operation, of));
  const query = (operation.parameters ?? [])
    .filter((given) => given.in === "query" && given.required)
    .map((given) => `${given.name}=${exampleOf(operation, given.name)}`);
  const body = operation.requestBody?.content["application/json"]?.example;
  const sent = { path: [path, ...query].join("?"), body, ...(await EXAMPLES[name]?.(key)) };
  const { status, body: answer } = await request<Problem>(org.url, method, sent.path, sent.body, {
    authorization: `Bearer ${key.api_key}`,
  });
  return { status, reason: answer?.details?.reason, details: answer?.details };
}

function exampleOf({ parameters = [] }: Operation, name: string): string {
  return String(parameters.find((given) => given.name === name)?.example ?? name);
}

/** A WebSocket's status is in its last message. */
async function overSocket(key: Key, threadId: string) {
  const socket = await openSocket(org, threadId, { key: key.api_key });
  const { reason } = await socket.first("bye");
  await socket.closed;
  return { status: reason === "not_allowed" ? 403 : 404, reason, details: undefined };
}

/** The endpoint itself was reached: what it says of the example is its own matter, and not that somebody may not call it. */
function expectReached({ status, reason }: Awaited<ReturnType<typeof send>>) {
  expect([401, 403, 500], `${status} ${reason}`).not.toContain(status);
}

describe.each(ROLES)("a key of an organization's %s", (role) => {
  it.each(rows)("%s: as the policy says (AGT-2)", async (name, { roles, scope }) => {
    const key = scope === null ? await keyOf(people[role].userId) : people[role];
    const answer = await send(name, key);
    if (roles.includes(role)) return expectReached(answer);
    expect(answer.status).toBe(403);
    expect(REFUSALS).toContain(answer.reason);
  });
});

describe("a key's scopes", () => {
  it.each(rows)("%s: with the scope it needs alone, and with all others (SEC-4)", async (name, { scope }) => {
    if (scope === null) return expectReached(await send(name, await keyWith(["audit:read"])));
    expectReached(await send(name, only[scope]));
    const refused = await send(name, without[scope]);
    expect(refused.status).toBe(403);
    if (name === "collaborate") return expect(refused.reason).toBe("not_allowed");
    expect(refused.details).toMatchObject({ reason: "scope_missing", scope });
  });
});

describe("a key for one thread", () => {
  let threads: { own: string; other: string };
  let key: Key;
  beforeAll(async () => {
    threads = { own: await newThread(org), other: await newThread(org) };
    key = await keyWith([`threads:${threads.own}:*`, `messages:${threads.own}:write`]);
  });
  const call = (method: string, path: string, body?: unknown) =>
    request<Problem>(org.url, method, path, body, { authorization: `Bearer ${key.api_key}` });

  it("works in that thread, and answers alike for another one and for none (SEC-4)", async () => {
    expect((await call("GET", `/threads/${threads.own}`)).status).toBe(200);
    expect((await call("POST", `/threads/${threads.own}/messages`, { content: "hello" })).status).toBe(200);
    for (const [method, path, body] of [
      ["GET", ""],
      ["PATCH", "", { title: "x" }],
      ["DELETE", ""],
      ["GET", "/messages"],
      ["POST", "/messages", { content: "hello" }],
      ["GET", "/stream"],
      ["GET", "/participants"],
    ] as const) {
      const [other, nobodys] = [
        await call(method, `/threads/${threads.other}${path}`, body),
        await call(method, `/threads/${NOBODYS}${path}`, body),
      ];
      expect(other).toEqual(nobodys);
      expect(other).toMatchObject({ status: 403, body: { details: { reason: "scope_missing" } } });
    }
    expect(await overSocket(key, threads.other)).toMatchObject({ status: 403 });
  });

  it("lists and makes no others, and searches that thread only (SEC-4)", async () => {
    const refused = { status: 403, body: { details: { reason: "scope_missing", context: null } } };
    expect(await call("GET", "/threads")).toMatchObject(refused);
    expect(await call("POST", "/threads", {})).toMatchObject(refused);
    expect(await call("POST", `/threads/${threads.own}/fork`, {})).toMatchObject(refused);
    const merge = { from_thread_id: threads.other };
    expect(await call("POST", `/threads/${threads.own}/merge`, merge)).toMatchObject(refused);
    expect(await call("GET", "/search?q=hello")).toMatchObject(refused);
    expect(await call("GET", `/search?q=hello&thread_id=${threads.other}`)).toMatchObject(refused);
    expect((await call("GET", `/search?q=hello&thread_id=${threads.own}`)).status).toBe(200);
  });
});

describe("messages of a WebSocket", () => {
  const MESSAGES: Partial<Record<keyof typeof SOCKET_POLICY, object>> = {
    send: { content: "hello" },
    cancel: {},
    react: { message_id: "msg_01h455vb4pex5vsknk084sn02q", emoji: "+1" },
    read: { seq: 0 },
    typing: { typing: true },
    ping: {},
  };
  const types = Object.entries(MESSAGES) as [keyof typeof SOCKET_POLICY, object][];
  /** Answered by nothing at all; neither asks for anything of the thread. */
  const UNANSWERED = ["leave", "pong"];

  it("are all tried here (SEC-4)", () => {
    expect([...Object.keys(MESSAGES), ...UNANSWERED].sort()).toEqual(Object.keys(SOCKET_POLICY).sort());
  });

  it.each(types)("%s: with the scope it needs, and without (SEC-4)", async (type, fields) => {
    const { scope } = SOCKET_POLICY[type];
    const id = await newThread(org);
    const reader = await openSocket(org, id, { key: only["threads:read"].api_key });
    reader.send({ type, id: "m1", ...fields });
    const may = scope === null;
    const [answer] = await reader.until((all) => all.some((m) => "id" in m && m.id === "m1")).then(answersTo);
    expect(answer?.type === "refused" && answer.reason === "scope_missing").toBe(!may);
    reader.cut();

    const key = await keyWith([`threads:${id}:read`, `messages:${id}:write`]);
    const writer = await openSocket(org, id, { key: key.api_key });
    writer.send({ type, id: "m1", ...fields });
    const [allowed] = await writer.until((all) => all.some((m) => "id" in m && m.id === "m1")).then(answersTo);
    expect(allowed?.type === "refused" ? allowed.reason : "").not.toBe("scope_missing");
    writer.cut();
  });

  const answersTo = <M extends object>(all: M[]) => all.filter((m) => "id" in m && m.id === "m1");
});

describe("keys make keys", () => {
  it("with no more scopes than their own (SEC-4)", async () => {
    const maker = await keyWith(["keys:manage", "threads:*"]);
    const make = (body: object) =>
      request<Problem & { scopes: string[] }>(org.url, "POST", "/api-keys", body, {
        authorization: `Bearer ${maker.api_key}`,
      });
    expect((await make({ name: "less", scopes: ["threads:read"] })).body.scopes).toEqual(["threads:read"]);
    expect((await make({ name: "the same" })).body.scopes).toEqual(["keys:manage", "threads:*"]);
    const more = await make({ name: "more", scopes: ["threads:read", "agents:read", "*"] });
    expect(more).toMatchObject({
      status: 403,
      body: { details: { reason: "scope_beyond_own", beyond: ["agents:read", "*"] } },
    });
    for (const scopes of [[], ["threads"], ["threads:fly"], Array(51).fill("threads:read")]) {
      expect(await make({ name: "odd", scopes })).toMatchObject({
        status: 400,
        body: { details: { reason: "bad_scope" } },
      });
    }
  });

  it("and are listed with their scopes (SEC-4)", async () => {
    const made = await keyWith(["threads:read"]);
    const { api_keys } = await ok(org.call<{ api_keys: { id: string; scopes: string[] }[] }>("GET", "/api-keys"));
    expect(api_keys.find(({ id }) => id === made.id)?.scopes).toEqual(["threads:read"]);
  });
});
