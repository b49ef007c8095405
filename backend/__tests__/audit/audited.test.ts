import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import {
  type Context,
  newAgent,
  newOrganization,
  newPerson,
  newThread,
  ok,
  request,
  type TestOrganization,
} from "../harness/organization";
import { type Server, startServer } from "../harness/server";

const graphyn = inject("graphyn");
const WRITES = new Set(["post", "put", "patch", "delete"]);
type Paths = Record<string, Record<string, object>>;
const { paths } = (await request<{ paths: Paths }>(graphyn.url, "GET", "/openapi.json")).body;
const writes = Object.entries(paths).flatMap(([path, methods]) =>
  Object.keys(methods).flatMap((method) => (WRITES.has(method) ? [`${method.toUpperCase()} ${path}`] : [])),
);

interface Entry {
  seq: number;
  actor: { kind: string; id: string; user_id: string | null };
  action: string;
  target: { type: string; id: string };
  change: Record<string, unknown>;
}

/** Writes that change nothing that the audit log is for. */
const NOT_AUDITED: Record<string, string> = {
  "POST /threads/{id}/messages": "what is said stands in the thread's own log",
  "POST /threads/{id}/messages/{messageId}/edit": "what is said stands in the thread's own log",
  "POST /threads/{id}/messages/{messageId}/regenerate": "what is said stands in the thread's own log",
  "POST /threads/{id}/rewind": "which messages are the conversation stands in the thread's own log",
  "POST /threads/{id}/branches/{branch}/restore": "which messages are the conversation stands in the thread's own log",
  "POST /threads/{id}/cancel": "who stopped an agent stands in the thread's own log",
  "POST /threads/{id}/turns/{turnId}/cancel": "who stopped an agent stands in the thread's own log",
};

/** Writes that tell, and whose entry another test looks at. */
const AUDITED_ELSEWHERE: Record<string, string> = {
  "POST /organizations/import": "its archive comes from another Graphyn: archive/round-trip.test.ts",
};

const UPSTREAMS = JSON.stringify([{ name: "dev", base_url: `${process.env.DEV_MODEL_URL}/v1`, key_secret: "dev" }]);

let server: Server;
let org: TestOrganization;
let agent: string;
beforeAll(async () => {
  server = await startServer({
    databaseUrl: graphyn.databaseUrl,
    adminKey: graphyn.adminKey,
    env: { OrgSecretsKey: "test-org-secrets", MODEL_UPSTREAMS: UPSTREAMS },
  });
  org = await newOrganization({ ...graphyn, url: server.url });
  agent = await newAgent(org, "Echo", "openai-proxy/dev-echo");
});
afterAll(() => server?.stop());

/** Does it, and says what the log must tell of it: the newest entries, oldest first. */
type Audited = () => Promise<{ of?: TestOrganization; told: { action: string; target: string; change?: object }[] }>;

const seatOf = async (thread: string, who: { user?: string; agent?: string }) => {
  const { participants } = await ok(org.call<Context>("GET", `/threads/${thread}/participants`));
  const seat = participants.find(({ user_id, agent_id }) => user_id === who.user || agent_id === who.agent);
  return seat?.id ?? "";
};

/** One good call of each write that is audited. */
const AUDITED: Record<string, Audited> = {
  "POST /organizations": async () => {
    const made = await newOrganization({ ...graphyn, url: server.url });
    return { of: made, told: [{ action: "organization.created", target: made.orgId, change: { owner: made.userId } }] };
  },
  "PUT /limits/{scope}/{scopeId}": async () => {
    const id = await newThread(org);
    await ok(org.call("PUT", `/limits/thread/${id}`, { tokens_per_month: 5 }));
    return { told: [{ action: "limit.set", target: id, change: { tokens_per_month: 5 } }] };
  },
  "DELETE /limits/{scope}/{scopeId}": async () => {
    const id = await newThread(org);
    await ok(org.call("PUT", `/limits/thread/${id}`, { tokens_per_month: 5 }));
    await ok(org.call("DELETE", `/limits/thread/${id}`));
    return { told: [{ action: "limit.deleted", target: id }] };
  },
  "POST /people": async () => {
    const id = await newPerson(org, "Ana");
    return { told: [{ action: "member.added", target: id, change: { role: "member" } }] };
  },
  "POST /api-keys": async () => {
    const body = { name: "a program", limits: { tokens_per_month: 5 } };
    const { id } = await ok(org.call<{ id: string }>("POST", "/api-keys", body));
    return {
      told: [
        { action: "key.created", target: id, change: { user: org.userId } },
        { action: "limit.set", target: id, change: { tokens_per_month: 5 } },
      ],
    };
  },
  "DELETE /api-keys/{id}": async () => {
    const { id } = await ok(org.call<{ id: string }>("POST", "/api-keys", { name: "to go" }));
    await ok(org.call("DELETE", `/api-keys/${id}`));
    await ok(org.call("DELETE", `/api-keys/${id}`)); // nothing changes any more, and nothing is told
    return {
      told: [
        { action: "key.created", target: id },
        { action: "key.revoked", target: id },
      ],
    };
  },
  "POST /api-keys/{id}/rotate": async () => {
    const { id } = await ok(org.call<{ id: string }>("POST", "/api-keys", { name: "old" }));
    const { id: next } = await ok(org.call<{ id: string }>("POST", `/api-keys/${id}/rotate`, {}));
    return {
      told: [
        { action: "key.created", target: id },
        { action: "key.rotated", target: id, change: { new_key: next, user: org.userId } },
      ],
    };
  },
  "PATCH /people/{id}": async () => {
    const id = await newPerson(org, "Ana");
    await ok(org.call("PATCH", `/people/${id}`, { role: "admin" }));
    await ok(org.call("PATCH", `/people/${id}`, { role: "admin" })); // nothing changes any more, and nothing is told
    return {
      told: [
        { action: "member.added", target: id },
        { action: "member.role_changed", target: id, change: { role: "admin", before: "member" } },
      ],
    };
  },
  "DELETE /people/{id}": async () => {
    const id = await newPerson(org, "Ana");
    await ok(org.call("DELETE", `/people/${id}`));
    return {
      told: [
        { action: "member.added", target: id },
        { action: "member.removed", target: id, change: { role: "member" } },
      ],
    };
  },
  "POST /threads/{id}/invitations": async () => {
    const thread = await newThread(org);
    const { id } = await ok(org.call<{ id: string }>("POST", `/threads/${thread}/invitations`, {}));
    return {
      told: [
        { action: "thread.created", target: thread },
        { action: "guest.invited", target: id, change: { thread, role: "speaker" } },
      ],
    };
  },
  "DELETE /threads/{id}/invitations/{invitationId}": async () => {
    const thread = await newThread(org);
    const { id } = await ok(org.call<{ id: string }>("POST", `/threads/${thread}/invitations`, {}));
    await ok(org.call("DELETE", `/threads/${thread}/invitations/${id}`));
    await ok(org.call("DELETE", `/threads/${thread}/invitations/${id}`)); // nothing changes any more, and nothing is told
    return {
      told: [
        { action: "thread.created", target: thread },
        { action: "guest.invited", target: id },
        { action: "guest.invitation_revoked", target: id, change: { thread } },
      ],
    };
  },
  "POST /invitations/accept": async () => {
    const thread = await newThread(org);
    const { id, token } = await ok(
      org.call<{ id: string; token: string }>("POST", `/threads/${thread}/invitations`, { role: "listener" }),
    );
    const other = await newOrganization({ ...graphyn, url: server.url });
    const { user_id } = await ok(other.call<{ user_id: string }>("POST", "/invitations/accept", { token }));
    return {
      told: [
        { action: "thread.created", target: thread },
        { action: "guest.invited", target: id },
        { action: "guest.added", target: user_id, change: { thread, invitation: id, role: "listener" } },
      ],
    };
  },
  "POST /agents": async () => {
    const first = await newAgent(org, "Planner", "openai-proxy/dev-echo");
    const body = { agent_id: first, name: "Planner", system_prompt: "You plan." };
    const { id } = await ok(org.call<{ id: string }>("POST", "/agents", body));
    return {
      told: [
        { action: "agent.created", target: first, change: { version: "0.1.0" } },
        { action: "agent.version_created", target: first, change: { version: "0.2.0", version_id: id } },
      ],
    };
  },
  "PATCH /agents/{id}": async () => {
    await ok(org.call("PATCH", `/agents/${agent}`, { ask_ahead: "off" }));
    return { told: [{ action: "agent.changed", target: agent, change: { ask_ahead: "off" } }] };
  },
  "PUT /models/credentials/{upstream}": async () => {
    await ok(org.call("PUT", "/models/credentials/dev", { api_key: "sk-0123456789" }));
    return { told: [{ action: "credential.set", target: "dev", change: {} }] };
  },
  "DELETE /models/credentials/{upstream}": async () => {
    await ok(org.call("PUT", "/models/credentials/dev", { api_key: "sk-0123456789" }));
    await ok(org.call("DELETE", "/models/credentials/dev"));
    return {
      told: [
        { action: "credential.set", target: "dev" },
        { action: "credential.deleted", target: "dev" },
      ],
    };
  },
  "POST /threads": async () => {
    const id = await newThread(org, [agent]);
    const participants = [
      { participant: await seatOf(id, { user: org.userId }), person: org.userId, role: "host" },
      { participant: await seatOf(id, { agent }), agent, role: "speaker" },
    ];
    return { told: [{ action: "thread.created", target: id, change: { participants } }] };
  },
  "PATCH /threads/{id}": async () => {
    const id = await newThread(org, [agent]);
    await ok(org.call("PATCH", `/threads/${id}`, { title: "Words of a person", turn_policy: "mentioned" }));
    await ok(org.call("PATCH", `/threads/${id}`, { state: "archived", exchange_limits: { hops: 2 } }));
    await ok(org.call("PATCH", `/threads/${id}`, { state: "active" }));
    return {
      told: [
        { action: "thread.changed", target: id, change: { changed: ["title"], turn_policy: "mentioned" } },
        { action: "thread.changed", target: id, change: { exchange_limits: { hops: 2 } } },
        { action: "thread.archived", target: id },
        { action: "thread.unarchived", target: id },
      ],
    };
  },
  "DELETE /threads/{id}": async () => {
    const id = await newThread(org);
    await ok(org.call("DELETE", `/threads/${id}`));
    await ok(org.call("DELETE", `/threads/${id}?purge=true`));
    return {
      told: [
        { action: "thread.archived", target: id },
        { action: "thread.deleted", target: id },
      ],
    };
  },
  "POST /threads/{id}/participants": async () => {
    const id = await newThread(org);
    await ok(org.call("POST", `/threads/${id}/participants`, { agents: [agent], role: "listener" }));
    await ok(org.call("POST", `/threads/${id}/participants`, { agents: [agent] })); // is there already
    const participants = [{ participant: await seatOf(id, { agent }), agent, role: "listener" }];
    return {
      told: [
        { action: "thread.created", target: id },
        { action: "thread.participants_added", target: id, change: { participants } },
      ],
    };
  },
  "PATCH /threads/{id}/participants/{participantId}": async () => {
    const id = await newThread(org, [agent]);
    const participant = await seatOf(id, { agent });
    await ok(org.call("PATCH", `/threads/${id}/participants/${participant}`, { role: "listener" }));
    const participants = [{ participant, agent, role: "listener" }];
    return { told: [{ action: "thread.participant_role_changed", target: id, change: { participants } }] };
  },
  "DELETE /threads/{id}/participants/{participantId}": async () => {
    const id = await newThread(org, [agent]);
    const participant = await seatOf(id, { agent });
    await ok(org.call("DELETE", `/threads/${id}/participants/${participant}`));
    const removed = { participant, agent, role: "speaker" };
    return { told: [{ action: "thread.participant_removed", target: id, change: { removed, participants: [] } }] };
  },
  "POST /erasure": async () => {
    const person = await newPerson(org, "Ana");
    const { id, receipt_token } = await ok(
      org.call<{ id: string; receipt_token: string }>("POST", "/erasure", { person_id: person }),
    );
    const token = { "x-receipt-token": receipt_token };
    for (let tries = 0; tries < 300; tries++) {
      const { state } = await ok(request<{ state: string }>(org.url, "GET", "/erasure-receipt", undefined, token));
      if (state === "done") break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { entries } = await ok(org.call<{ entries: Entry[] }>("GET", `/audit?target=${person}`));
    expect(entries).toMatchObject([
      { action: "erasure.completed", actor: { kind: "system" }, change: { erasure: id } },
      { action: "erasure.requested", actor: { kind: "key", user_id: org.userId }, change: { erasure: id } },
      { action: "member.added" },
    ]);
    await newPerson(org, "Who comes after");
    const after = (await ok(org.call<{ entries: Entry[] }>("GET", "/audit?limit=1"))).entries[0]?.target.id ?? "";
    return { told: [{ action: "member.added", target: after }] };
  },
  "POST /threads/{id}/fork": async () => {
    const id = await newThread(org);
    const { thread } = await ok(org.call<Context>("POST", `/threads/${id}/fork`, {}));
    return { told: [{ action: "thread.created", target: thread.id, change: { forked_from: id } }] };
  },
  "POST /threads/{id}/split": async () => {
    const id = await newThread(org);
    await ok(org.call("POST", `/threads/${id}/messages`, { content: "one" }));
    const { thread } = await ok(org.call<Context>("POST", `/threads/${id}/split`, { at_seq: 0 }));
    return { told: [{ action: "thread.created", target: thread.id, change: { split_from: id } }] };
  },
  "POST /threads/{id}/merge": async () => {
    const id = await newThread(org);
    const from = await newThread(org, [agent]);
    await ok(org.call("POST", `/threads/${id}/merge`, { from_thread_id: from }));
    const participants = [{ participant: await seatOf(id, { agent }), agent, role: "speaker" }];
    return {
      told: [
        { action: "thread.participants_added", target: id, change: { merged_from: from, participants } },
        { action: "thread.archived", target: from, change: { merged_to: id } },
      ],
    };
  },
};

describe("the audit log", () => {
  it("has a decision for every write: audited, or not and why (SEC-6)", () => {
    expect(writes.length).toBeGreaterThan(15);
    const decided = [AUDITED, AUDITED_ELSEWHERE, NOT_AUDITED].flatMap((table) => Object.keys(table)).sort();
    expect([...writes].sort()).toEqual(decided);
  });

  it.each(Object.keys(AUDITED))("tells of %s, of who did it, and only of what changed (SEC-6)", async (name) => {
    const { of = org, told } = await (AUDITED[name] as Audited)();
    const { entries } = await ok(of.call<{ entries: Entry[] }>("GET", `/audit?limit=${told.length}`));
    expect(entries.reverse()).toMatchObject(
      told.map(({ action, target, change = {} }) => ({ action, target: { id: target }, change })),
    );
    for (const { action, actor, target } of entries) {
      if (name === "POST /organizations") expect(actor).toEqual({ kind: "operator", id: "operator", user_id: null });
      // Whoever comes from another organization is told as the guest they are here.
      else if (action === "guest.added") expect(actor).toEqual({ kind: "user", id: target.id, user_id: null });
      else expect(actor).toMatchObject({ kind: "key", user_id: org.userId });
    }
    expect(await ok(of.call("GET", "/audit/verify"))).toMatchObject({ intact: true, broken: null, next_cursor: null });
  });

  it("tells of a write with an Idempotency-Key once, however often it is repeated (SEC-6)", async () => {
    const mine = await newOrganization({ ...graphyn, url: server.url });
    const add = () => ok(mine.call("POST", "/people", { name: "Ana" }, { "idempotency-key": "the same" }));
    await Promise.all(Array.from({ length: 5 }, add));
    await add();
    const { entries } = await ok(mine.call<{ entries: Entry[] }>("GET", "/audit?action=member.added"));
    expect(entries).toHaveLength(1);
  });

  it("tells nothing of a write that failed (SEC-6)", async () => {
    const mine = await newOrganization({ ...graphyn, url: server.url });
    const thread = await newThread(mine);
    const refused = await mine.call("PATCH", `/threads/${thread}`, { turn_policy: "coordinator", title: "x" });
    expect(refused.status).toBe(400);
    const { entries } = await ok(mine.call<{ entries: Entry[] }>("GET", "/audit"));
    expect(entries.map(({ action }) => action)).toEqual(["thread.created", "organization.created"]);
  });

  it("keeps no name, title or secret, only ids and words of ours (SEC-6)", async () => {
    const rows = await adminQuery<{ text: string }>(
      graphyn.adminUrl,
      "select concat_ws(' ', actor_id, actor_user, action, target_type, target_id, change) as text from audit_entries where org_id = $1",
      [org.orgId],
    );
    expect(rows.length).toBeGreaterThan(20);
    for (const { text } of rows) expect(text).not.toMatch(/Ana|Planner|Echo|Words|sk-|to go|A test|gk_/);
  });
});
