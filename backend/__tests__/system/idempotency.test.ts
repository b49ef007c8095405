import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { hashKey, newKey } from "../../organizations/key-format";
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
  type TestOrganization,
} from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { ofType, openStream, turnsEnded } from "../harness/stream";

interface OpenApi {
  paths: Record<
    string,
    Record<
      string,
      {
        parameters?: { name: string; in: string }[];
        responses: Record<string, { headers?: Record<string, unknown> } | undefined>;
      }
    >
  >;
}

interface Write {
  path: string;
  body?: object;
  /** Another request of the same operation. */
  other?: { path?: string; body?: object };
  headers?: Record<string, string>;
}

const graphyn = inject("graphyn");
const WRITES = new Set(["post", "put", "patch", "delete"]);
const { paths } = (await request<OpenApi>(graphyn.url, "GET", "/openapi.json")).body;
const writes = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).flatMap(([method, operation]) =>
    WRITES.has(method) && !path.startsWith("/internal/")
      ? [{ name: `${method.toUpperCase()} ${path}`, operation }]
      : [],
  ),
);

let org: TestOrganization;
let agent: string;
/** A second process on the same database. */
let beside: Server;
beforeAll(async () => {
  beside = await startServer({
    databaseUrl: graphyn.databaseUrl,
    adminKey: graphyn.adminKey,
    env: { OrgSecretsKey: "test-org-secrets", MODEL_UPSTREAMS: UPSTREAMS },
  });
  org = await newOrganization({ ...graphyn, url: beside.url });
  agent = await newAgent(org, "Echo", "openai-proxy/dev-echo");
});
afterAll(() => beside?.stop());

const UPSTREAMS = JSON.stringify([{ name: "dev", base_url: `${process.env.DEV_MODEL_URL}/v1`, key_secret: "dev" }]);

/** One good request for each write, made for the test that sends it. A write that is not here fails the first test below. */
const REQUESTS: Record<string, () => Promise<Write>> = {
  "POST /agents": async () => ({
    path: "/agents",
    body: { name: "Once", system_prompt: "You are Once." },
    other: { body: { name: "Twice", system_prompt: "You are Twice." } },
  }),
  "PATCH /agents/{id}": async () => ({
    path: `/agents/${agent}`,
    body: { ask_ahead: "on" },
    other: { body: { ask_ahead: "off" } },
  }),
  "POST /api-keys": async () => ({ path: "/api-keys", body: { name: "once" }, other: { body: { name: "twice" } } }),
  "DELETE /api-keys/{id}": async () => {
    const { id } = await ok(org.call<{ id: string }>("POST", "/api-keys", { name: "to go" }));
    return { path: `/api-keys/${id}`, other: { path: "/api-keys/key_01h455vb4pex5vsknk084sn02q" } };
  },
  "POST /api-keys/{id}/rotate": async () => {
    const make = () => ok(org.call<{ id: string }>("POST", "/api-keys", { name: "to rotate" }));
    return {
      path: `/api-keys/${(await make()).id}/rotate`,
      body: { overlap_minutes: 5 },
      other: { path: `/api-keys/${(await make()).id}/rotate` },
    };
  },
  "PUT /models/credentials/{upstream}": async () => ({
    path: "/models/credentials/dev",
    body: { api_key: "sk-0123456789" },
    other: { body: { api_key: "sk-9876543210" } },
  }),
  "DELETE /models/credentials/{upstream}": async () => {
    await ok(org.call("PUT", "/models/credentials/dev", { api_key: "sk-0123456789" }));
    return { path: "/models/credentials/dev" };
  },
  "PUT /limits/{scope}/{scopeId}": async () => ({
    path: `/limits/thread/${await newThread(org)}`,
    body: { tokens_per_month: 1_000_000 },
    other: { body: { tokens_per_month: 2_000_000 } },
  }),
  "DELETE /limits/{scope}/{scopeId}": async () => {
    const limited = async () => {
      const path = `/limits/thread/${await newThread(org)}`;
      await ok(org.call("PUT", path, { tokens_per_month: 1_000_000 }));
      return path;
    };
    return { path: await limited(), other: { path: await limited() } };
  },
  "POST /erasure": async () => ({
    path: "/erasure",
    body: { person_id: await newPerson(org, "Ana") },
    other: { body: { person_id: await newPerson(org, "Ben") } },
  }),
  "POST /organizations": async () => ({
    path: "/organizations",
    body: { name: "Once", owner_name: "Ada" },
    other: { body: { name: "Twice", owner_name: "Ada" } },
    headers: { "x-admin-key": graphyn.adminKey },
  }),
  "POST /people": async () => ({ path: "/people", body: { name: "Ana" }, other: { body: { name: "Ben" } } }),
  "PATCH /people/{id}": async () => ({
    path: `/people/${await newPerson(org, "Ana")}`,
    body: { role: "admin" },
    other: { body: { role: "guest" } },
  }),
  "DELETE /people/{id}": async () => ({
    path: `/people/${await newPerson(org, "Ana")}`,
    other: { path: `/people/${await newPerson(org, "Ben")}` },
  }),
  "POST /threads": async () => ({
    path: "/threads",
    body: { title: "once", agents: [agent] },
    other: { body: { title: "twice" } },
  }),
  "PATCH /threads/{id}": async () => ({
    path: `/threads/${await newThread(org)}`,
    body: { title: "renamed" },
    other: { body: { title: "renamed again" } },
  }),
  "DELETE /threads/{id}": async () => {
    const path = `/threads/${await newThread(org)}`;
    return { path: `${path}?purge=true`, other: { path } };
  },
  "POST /threads/{id}/cancel": async () => ({
    path: `/threads/${await newThread(org)}/cancel`,
    other: { path: `/threads/${await newThread(org)}/cancel` },
  }),
  "POST /threads/{id}/messages": async () => ({
    path: `/threads/${await newThread(org)}/messages`,
    body: { content: "once" },
    other: { body: { content: "twice" } },
  }),
  "POST /threads/{id}/participants": async () => ({
    path: `/threads/${await newThread(org)}/participants`,
    body: { people: [await newPerson(org, "Ana")] },
    other: { body: { agents: [agent] } },
  }),
  "PATCH /threads/{id}/participants/{participantId}": async () => {
    const { path, participant } = await participantOf(await newPerson(org, "Ana"));
    return { path: `${path}/${participant}`, body: { role: "listener" }, other: { body: { role: "host" } } };
  },
  "DELETE /threads/{id}/participants/{participantId}": async () => {
    const { path, participant } = await participantOf(await newPerson(org, "Ana"));
    return { path: `${path}/${participant}`, other: { path: `${path}/part_01h455vb4pex5vsknk084sn02q` } };
  },
  "POST /threads/{id}/invitations": async () => ({
    path: `/threads/${await newThread(org)}/invitations`,
    body: { role: "listener" },
    other: { body: { role: "speaker" } },
  }),
  "DELETE /threads/{id}/invitations/{invitationId}": async () => {
    const path = `/threads/${await newThread(org)}/invitations`;
    const { id } = await ok(org.call<{ id: string }>("POST", path, {}));
    return { path: `${path}/${id}`, other: { path: `${path}/inv_01h455vb4pex5vsknk084sn02q` } };
  },
  "POST /invitations/accept": async () => {
    const host = await newOrganization({ ...graphyn, url: beside.url });
    const invite = async () => {
      const path = `/threads/${await newThread(host)}/invitations`;
      return (await ok(host.call<{ token: string }>("POST", path, {}))).token;
    };
    return { path: "/invitations/accept", body: { token: await invite() }, other: { body: { token: await invite() } } };
  },
  "POST /threads/{id}/turns/{turnId}/cancel": async () => {
    const id = await newThread(org, [agent]);
    const say = () =>
      ok(
        org.call<{ turns: { id: string }[] }>("POST", `/threads/${id}/messages`, { content: "!tokens 200\n!rate 20" }),
      );
    const path = ({ turns }: { turns: { id: string }[] }) => `/threads/${id}/turns/${turns[0]?.id}/cancel`;
    return { path: path(await say()), other: { path: path(await say()) } };
  },
  "POST /threads/{id}/fork": async () => ({
    path: `/threads/${(await saidIn()).id}/fork`,
    body: { title: "a fork" },
    other: { body: { title: "another" } },
  }),
  "POST /threads/{id}/merge": async () => ({
    path: `/threads/${(await saidIn()).id}/merge`,
    body: { from_thread_id: (await saidIn()).id },
    other: { body: { from_thread_id: (await saidIn()).id } },
  }),
  "POST /threads/{id}/messages/{messageId}/edit": async () => {
    const { id, message } = await saidIn();
    return {
      path: `/threads/${id}/messages/${message.id}/edit`,
      body: { content: "better" },
      other: { body: { content: "best" } },
    };
  },
  "POST /threads/{id}/messages/{messageId}/regenerate": async () => {
    const id = await newThread(org, [agent]);
    const stream = await openStream(org, id);
    await ok(org.call("POST", `/threads/${id}/messages`, { content: "say it" }));
    const answer = ofType(await stream.until(turnsEnded(1)), "message").at(-1)?.message.id;
    await stream.close();
    return { path: `/threads/${id}/messages/${answer}/regenerate` };
  },
  "POST /threads/{id}/rewind": async () => ({
    path: `/threads/${(await saidIn()).id}/rewind`,
    body: { to_seq: 2 },
    other: { body: { to_seq: 1 } },
  }),
  "POST /threads/{id}/branches/{branch}/restore": async () => {
    const { id } = await saidIn();
    await ok(org.call("POST", `/threads/${id}/rewind`, { to_seq: 2 }));
    return { path: `/threads/${id}/branches/1/restore`, other: { path: `/threads/${id}/branches/2/restore` } };
  },
  "POST /threads/{id}/split": async () => {
    const { id, message } = await saidIn();
    return {
      path: `/threads/${id}/split`,
      body: { at_seq: message.seq - 1 },
      other: { body: { at_seq: message.seq - 1, title: "x" } },
    };
  },
};

/** A thread in which something was said. */
async function saidIn() {
  const id = await newThread(org);
  for (const content of ["first", "second"]) await ok(org.call("POST", `/threads/${id}/messages`, { content }));
  const { message } = await ok(
    org.call<{ message: { id: string; seq: number } }>("POST", `/threads/${id}/messages`, { content: "third" }),
  );
  return { id, message };
}

async function participantOf(person: string) {
  const id = await newThread(org, [], [person]);
  const { context } = await ok(org.call<{ context: Context }>("GET", `/threads/${id}`));
  const participant = context.participants.find(({ user_id }) => user_id === person)?.id;
  return { path: `/threads/${id}/participants`, participant };
}

/** Sent to one of the two processes. */
async function send(name: string, { path, body, headers = {} }: Write, key: string, at = beside.url) {
  const [method = ""] = name.split(" ");
  const response = await fetch(at + path, {
    method,
    headers: {
      authorization: `Bearer ${org.apiKey}`,
      "idempotency-key": key,
      ...(body ? { "content-type": "application/json" } : {}),
      ...headers,
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: AbortSignal.timeout(60_000),
  });
  return {
    status: response.status,
    body: (await response.json()) as object,
    replayed: response.headers.get("idempotent-replayed"),
  };
}

/** Model credentials need a secret that only the second process has. */
const onlyBeside = (name: string) => name.includes("/models/credentials/");

describe("every write", () => {
  it("is known to these tests, takes the header Idempotency-Key, and documents both (THR-6)", () => {
    expect(writes.map(({ name }) => name).sort()).toEqual(Object.keys(REQUESTS).sort());
    for (const { name, operation } of writes) {
      const takes = operation.parameters?.some((one) => one.in === "header" && one.name === "Idempotency-Key");
      const marks = Object.keys(operation.responses["200"]?.headers ?? {});
      expect([name, takes, marks]).toEqual([name, true, expect.arrayContaining(["Idempotent-Replayed"])]);
    }
  });

  it.each(writes.map(({ name }) => name))(
    "is done once for a key, in whichever process: %s (THR-6)",
    async (name) => {
      const write = await REQUESTS[name]?.();
      if (!write) throw new Error(`no request for ${name}`);
      const key = randomUUID();
      const there = onlyBeside(name) ? beside.url : graphyn.url;
      const parallel = await Promise.all(
        [beside.url, there, beside.url, there].map((url) => send(name, write, key, url)),
      );
      const later = await send(name, write, key, there);
      const answers = [...parallel, later];
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      for (const { body } of answers) expect(body).toEqual(later.body);
      expect(answers.filter(({ replayed }) => replayed === null)).toHaveLength(1);
      expect(later.replayed).toBe("true");

      if (write.other) {
        const another = await send(name, { ...write, ...write.other }, key);
        expect(another.status).toBe(409);
        expect((another.body as Problem).details.reason).toBe("idempotency_key_reused");
      }
      expect((await send(name, write, "x".repeat(256))).body).toMatchObject({
        details: { reason: "bad_idempotency_key" },
      });
    },
    60_000,
  );
});

describe("an idempotency key", () => {
  it("starts one turn for two identical messages at the same instant, in two processes, and re-attaches (THR-6)", async () => {
    const talker = await newAgent(org, "Talker", "openai-proxy/dev-n40-r20");
    const id = await newThread(org, [talker]);
    const write = { path: `/threads/${id}/messages`, body: { content: "once" } };
    const key = randomUUID();
    interface Said {
      message: { id: string; seq: number };
      turns: { id: string; state: string }[];
      context: Context;
    }
    const say = async (url: string) => (await send("POST", write, key, url)).body as Said;
    const [one, two] = await Promise.all([say(beside.url), say(graphyn.url)]);
    expect(one.turns.map((turn) => turn.id)).toEqual(two.turns.map((turn) => turn.id));
    const [turn] = one.turns;

    const running = await say(graphyn.url);
    expect(running.context.running_turns).toMatchObject([{ id: turn?.id }]);
    // Whoever lost the first answer follows from here, and misses nothing of what was said to it.
    const stream = await openStream(org, id, running.context.cursor);
    const received = await stream.until(turnsEnded(1));
    await stream.close();
    expect(ofType(received, "turn_started").map(({ turn_id }) => turn_id)).toEqual([turn?.id]);
    const said = ofType(received, "message").find(({ message }) => message.turn_id === turn?.id);

    const ended = await say(beside.url);
    expect(ended.turns).toMatchObject([{ id: turn?.id, state: "completed" }]);
    expect(ended.context).toMatchObject({ running_turns: [], cursor: one.context.cursor });
    expect(ended.context.last_seq).toBeGreaterThan(said?.message.seq ?? 0);
    const late = await openStream(org, id, ended.context.cursor);
    expect(ofType(await late.until(turnsEnded(1)), "message").map(({ message }) => message.id)).toContain(
      said?.message.id,
    );
    await late.close();
    const { messages } = await ok(
      org.call<{ messages: { content: string }[] }>("GET", `/threads/${id}/messages?limit=100`),
    );
    expect(messages.filter(({ content }) => content === "once")).toHaveLength(1);
  });

  it("makes one agent in Letta for requests at the same instant, and another when the first one failed (THR-6, AGT-2)", async () => {
    const name = `Once ${randomUUID()}`;
    const body = { name, system_prompt: "You are Once." };
    const key = randomUUID();
    const made = await Promise.all(
      [beside.url, graphyn.url, beside.url].map((url) => send("POST", { path: "/agents", body }, key, url)),
    );
    const ids = made.map((one) => (one.body as { letta_id: string }).letta_id);
    expect(new Set(ids).size).toBe(1);
    const rows = await adminQuery<{ n: number }>(
      graphyn.adminUrl,
      "select count(*)::int as n from agent_versions where org_id = $1 and name = $2",
      [org.orgId, name],
    );
    expect(rows).toEqual([{ n: 1 }]);

    // As if the first request's process had failed to make it, and it was taken back.
    await adminQuery(
      graphyn.adminUrl,
      `with gone as (update agents set current_version_id = null where org_id = $1 and name = $2)
       update agent_versions set state = 'failed', letta_id = null where org_id = $1 and name = $2`,
      [org.orgId, name],
    );
    const again = await send("POST", { path: "/agents", body }, key);
    expect(again).toMatchObject({ status: 200, replayed: null, body: { name } });
    expect((again.body as { letta_id: string }).letta_id).not.toBe(ids[0]);
    expect((await send("POST", { path: "/agents", body }, key)).body).toEqual(again.body);
  });

  it("belongs to its caller and organization: the same from others is another request (THR-6, SEC-1)", async () => {
    const key = "the-same-for-all";
    const person = await newPerson(org, "Ana");
    const personal = newKey(org.orgId);
    await adminQuery(
      graphyn.adminUrl,
      `insert into api_keys (org_id, id, user_id, name, hash, last_four, expires_at)
       values ($1, 'key_of_ana', $2, 'hers', $3, '0000', now() + interval '1 day')`,
      [org.orgId, person, hashKey(personal, "test-hash-key")],
    );
    const make = (title: string, apiKey: string) =>
      ok(
        request<{ thread: { id: string; title: string } }>(
          graphyn.url,
          "POST",
          "/threads",
          { title },
          { authorization: `Bearer ${apiKey}`, "idempotency-key": key },
        ),
      );
    const other = await newOrganization();
    const titles = [];
    for (const [title, apiKey] of [
      ["mine", org.apiKey],
      ["hers", personal],
      ["theirs", other.apiKey],
    ] as const)
      titles.push((await make(title, apiKey)).thread.title);
    expect(titles).toEqual(["mine", "hers", "theirs"]);
  });

  it("does not hold what failed: the request can be repeated with its key (THR-6)", async () => {
    const key = randomUUID();
    const id = await newThread(org);
    const write = { path: `/threads/${id}/messages`, body: { content: "late" } };
    await ok(org.call("DELETE", `/threads/${id}`));
    expect((await send("POST", write, key)).status).toBe(400);
    await ok(org.call("PATCH", `/threads/${id}`, { state: "active" }));
    expect(await send("POST", write, key)).toMatchObject({ status: 200, replayed: null });
  });

  it("keeps no secret in the clear: the answer with an API key in it is sealed (THR-6, SEC-1)", async () => {
    const made = await send("POST", { path: "/api-keys", body: { name: "sealed" } }, `sealed-${org.orgId}`);
    const { api_key } = made.body as { api_key: string };
    const [row] = await adminQuery<{ response: object }>(
      graphyn.adminUrl,
      "select response from idempotency_keys where org_id = $1 and key = $2",
      [org.orgId, `sealed-${org.orgId}`],
    );
    expect(row?.response).toEqual({ sealed: expect.any(String) });
    expect(JSON.stringify(row)).not.toContain(api_key.slice(-40));
  });

  it("goes with its thread: what was erased is neither shown again nor made again (THR-6, THR-1)", async () => {
    const key = randomUUID();
    const create = { path: "/threads", body: { title: "Secret plans" } };
    const { thread } = (await send("POST", create, key)).body as { thread: { id: string } };
    await ok(org.call("DELETE", `/threads/${thread.id}?purge=true`));
    const again = await send("POST", create, key);
    expect([again.status, (again.body as Problem).details.reason]).toEqual([404, "thread_not_found"]);
    const rows = await adminQuery<{ key: string }>(
      graphyn.adminUrl,
      "select key from idempotency_keys where org_id = $1 and response::text like '%Secret plans%'",
      [org.orgId],
    );
    expect(rows).toEqual([]);
  });

  it("makes one organization, also a day later (THR-6)", async () => {
    const headers = { "x-admin-key": graphyn.adminKey };
    const write = { path: "/organizations", body: { name: "Once", owner_name: "Ada" }, headers };
    const key = randomUUID();
    const { organization_id } = (await send("POST", write, key)).body as { organization_id: string };
    await adminQuery(
      graphyn.adminUrl,
      "update idempotency_keys set created_at = now() - interval '25 hours' where org_id = $1",
      [organization_id],
    );
    const late = await send("POST", write, key);
    expect([late.status, (late.body as Problem).details.reason]).toEqual([409, "idempotency_key_reused"]);
  });
});
