import { beforeAll, describe, expect, inject, it } from "vitest";
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
import { ofType, openStream, turnsEnded } from "../harness/stream";

interface Participants {
  participants: Context["participants"];
  context: Context;
}

const STANDINGS = ["host", "speaker", "listener", "outsider"] as const;
type Standing = (typeof STANDINGS)[number];

describe("roles of participants", () => {
  let org: TestOrganization;
  let people: Record<Standing, { id: string; call: TestOrganization["call"] }>;
  let agent: string;
  let extra: string;
  beforeAll(async () => {
    org = await newOrganization();
    const made = await Promise.all(STANDINGS.map(async (name) => [name, await member(name)] as const));
    people = Object.fromEntries(made) as typeof people;
    [agent, extra] = await Promise.all([
      newAgent(org, "Talker", "openai-proxy/dev-n40-r20"),
      newPerson(org, "Somebody else"),
    ]);
  });

  /** A member of the organization with a key of their own. Over HTTP a key acts for whoever made it, and members make none. */
  async function member(name: string) {
    const id = await newPerson(org, name);
    const key = await ok(org.call<{ id: string; api_key: string }>("POST", "/api-keys", { name }));
    await adminQuery(inject("graphyn").adminUrl, "update api_keys set user_id = $1 where id = $2", [id, key.id]);
    const call: TestOrganization["call"] = (method, path, body, headers) =>
      request(org.url, method, path, body, { authorization: `Bearer ${key.api_key}`, ...headers });
    return { id, call };
  }

  /** A thread begun by the owner, with a person of each role, and the participants by name. */
  async function room() {
    const id = await newThread(org, [agent], [people.speaker.id]);
    for (const role of ["host", "listener"] as const) {
      await ok(org.call("POST", `/threads/${id}/participants`, { people: [people[role].id], role }));
    }
    return id;
  }

  const participants = async (id: string) =>
    (await ok(org.call<Participants>("GET", `/threads/${id}/participants`))).participants;
  const named = async (id: string, name: string) => {
    const found = (await participants(id)).find((p) => p.name === name);
    if (!found) throw new Error(`${name} is not in the thread`);
    return found;
  };

  type Attempt = (id: string, standing: Standing) => Promise<[method: string, path: string, body?: unknown]>;
  const TABLE: [action: string, allowed: Standing[], attempt: Attempt][] = [
    ["speak", ["host", "speaker"], async (id) => ["POST", `/threads/${id}/messages`, { content: "hi", mentions: [] }]],
    [
      "cancel",
      ["host", "speaker"],
      async (id) => {
        const { turns } = await ok(
          org.call<{ turns: { id: string }[] }>("POST", `/threads/${id}/messages`, { content: "talk" }),
        );
        return ["POST", `/threads/${id}/turns/${turns[0]?.id}/cancel`];
      },
    ],
    ["invite", ["host", "speaker"], async (id) => ["POST", `/threads/${id}/participants`, { people: [extra] }]],
    [
      "invite a host",
      ["host"],
      async (id) => ["POST", `/threads/${id}/participants`, { people: [extra], role: "host" }],
    ],
    ["invite a guest", ["host"], async (id) => ["POST", `/threads/${id}/invitations`, {}]],
    ["remove", ["host"], async (id) => ["DELETE", `/threads/${id}/participants/${(await named(id, "Talker")).id}`]],
    [
      "change a role",
      ["host"],
      async (id) => ["PATCH", `/threads/${id}/participants/${(await named(id, "Talker")).id}`, { role: "listener" }],
    ],
    ["change the settings", ["host"], async (id) => ["PATCH", `/threads/${id}`, { title: "New" }]],
    ["archive by PATCH", ["host"], async (id) => ["PATCH", `/threads/${id}`, { state: "archived" }]],
    ["archive by DELETE", ["host"], async (id) => ["DELETE", `/threads/${id}`]],
    ["erase", [], async (id) => ["DELETE", `/threads/${id}?purge=true`]],
  ];
  const cases = TABLE.flatMap(([action, allowed, attempt]) =>
    STANDINGS.map((standing) => ({ action, standing, may: allowed.includes(standing), attempt })),
  );

  it.each(cases)("$standing, $action: $may (AGT-2)", async ({ action, standing, may, attempt }) => {
    const id = await room();
    const before = (await ok(org.call<{ context: Context }>("GET", `/threads/${id}`))).context;
    const [method, path, body] = await attempt(id, standing);
    const answer = await people[standing].call<Problem>(method, path, body);
    expect(answer.status).toBe(may ? 200 : 403);
    if (may) return;
    const { details } = answer.body;
    if (action === "erase") {
      expect(details.reason).toBe("admin_required");
      return;
    }
    expect(details.reason).toMatch(
      standing === "outsider" && action === "speak" ? "not_a_participant" : "role_not_allowed",
    );
    expect(details.hint).not.toBe("");
    expect(details.context).toMatchObject({ thread: { id }, participants: before.participants });
    if (details.reason === "role_not_allowed") {
      expect(details).toMatchObject({ role: standing, hosts: [org.userId, people.host.id] });
    }
  });

  it("lets the organization's owner do everything, whatever their role in the thread (AGT-2)", async () => {
    const id = await room();
    const owner = await named(id, "Owner");
    await ok(org.call("PATCH", `/threads/${id}/participants/${owner.id}`, { role: "listener" }));
    await ok(org.call("POST", `/threads/${id}/messages`, { content: "still here", mentions: [] }));
    await ok(org.call("PATCH", `/threads/${id}`, { title: "Mine" }));
    await ok(org.call("PATCH", `/threads/${id}/participants/${owner.id}`, { role: "host" }));
  });

  it("holds a person to their role also where a program speaks for them (AGT-2)", async () => {
    const id = await room();
    const { status, body } = await org.call<Problem>("POST", `/threads/${id}/messages`, {
      content: "hi",
      sender_id: people.listener.id,
    });
    expect(status).toBe(403);
    expect(body.details).toMatchObject({ reason: "role_not_allowed", action: "speak", role: "listener" });
  });

  it("makes whoever begins a thread its host, and others speakers (AGT-2)", async () => {
    const id = await newThread(org, [agent], [people.speaker.id]);
    expect((await participants(id)).map(({ name, role }) => [name, role])).toEqual([
      ["Owner", "host"],
      ["speaker", "speaker"],
      ["Talker", "speaker"],
    ]);
  });

  it("lets anybody of the organization come in by themself, as a listener (AGT-2)", async () => {
    const id = await room();
    const { outsider } = people;
    const asSpeaker = { people: [outsider.id], role: "speaker" };
    expect((await outsider.call("POST", `/threads/${id}/participants`, asSpeaker)).status).toBe(403);
    expect((await outsider.call("POST", `/threads/${id}/participants`, { people: [outsider.id, extra] })).status).toBe(
      403,
    );
    await ok(outsider.call("POST", `/threads/${id}/participants`, { people: [outsider.id] }));
    expect((await named(id, "outsider")).role).toBe("listener");
    // Coming again changes nothing, and going is free.
    expect((await outsider.call("POST", `/threads/${id}/participants`, { people: [outsider.id] })).status).toBe(403);
    await ok(outsider.call("DELETE", `/threads/${id}/participants/${(await named(id, "outsider")).id}`));
  });

  it("writes a changed role into the log, once (AGT-2)", async () => {
    const id = await room();
    const stream = await openStream(org, id);
    await stream.until((received) => ofType(received, "caught_up").length === 1);
    const { id: target } = await named(id, "speaker");
    for (const role of ["listener", "listener", "host"]) {
      await ok(people.host.call("PATCH", `/threads/${id}/participants/${target}`, { role }));
    }
    const received = await stream.until((all) => ofType(all, "participant").length === 2);
    await stream.close();
    expect(ofType(received, "participant")).toMatchObject([
      { action: "role_changed", participant_id: target, kind: "user", name: "speaker", role: "listener" },
      { action: "role_changed", participant_id: target, role: "host" },
    ]);
    expect((await named(id, "speaker")).role).toBe("host");
  });

  it("never leaves a thread without a host (AGT-2)", async () => {
    const id = await newThread(org, [agent], [people.speaker.id]);
    const [owner, speaker, talker] = await participants(id);
    const demote = (more: object) =>
      org.call<Problem>("PATCH", `/threads/${id}/participants/${owner?.id}`, { role: "speaker", ...more });
    const remove = (query = "") => org.call<Problem>("DELETE", `/threads/${id}/participants/${owner?.id}${query}`);
    for (const refused of [await demote({}), await remove()]) {
      expect(refused.status).toBe(400);
      expect(refused.body.details).toMatchObject({ reason: "last_host", context: { thread: { id } } });
    }
    expect((await demote({ new_host: talker?.id })).body.details.reason).toBe("host_is_a_person");
    expect((await demote({ new_host: owner?.id })).body.details.reason).toBe("unknown_host");
    expect((await participants(id)).map(({ role }) => role)).toEqual(["host", "speaker", "speaker"]);

    await ok(demote({ new_host: speaker?.id }) as Promise<{ status: number; body: unknown }>);
    expect((await participants(id)).map(({ role }) => role)).toEqual(["speaker", "host", "speaker"]);
    const gone = await org.call("DELETE", `/threads/${id}/participants/${speaker?.id}?new_host=${owner?.id}`);
    expect(gone.status).toBe(200);
    expect((await participants(id)).map(({ name, role }) => [name, role])).toEqual([
      ["Owner", "host"],
      ["Talker", "speaker"],
    ]);
  });

  it("of two hosts who step down at once one stays (AGT-2)", async () => {
    for (let round = 0; round < 5; round++) {
      const id = await newThread(org);
      await ok(org.call("POST", `/threads/${id}/participants`, { people: [people.host.id], role: "host" }));
      const hosts = await participants(id);
      const answers = await Promise.all(
        hosts.map(({ id: target }) => org.call("PATCH", `/threads/${id}/participants/${target}`, { role: "listener" })),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 400]);
      expect((await participants(id)).filter(({ role }) => role === "host")).toHaveLength(1);
    }
  });

  it("keeps an agent from answering once it is a listener, also what it was still to answer (AGT-2)", async () => {
    const id = await newThread(org, [agent]);
    const stream = await openStream(org, id);
    const say = (content: string) =>
      ok(org.call<{ turns: { id: string }[] }>("POST", `/threads/${id}/messages`, { content }));
    await say("first");
    const second = await say("second");
    await ok(org.call("PATCH", `/threads/${id}/participants/${(await named(id, "Talker")).id}`, { role: "listener" }));
    const received = await stream.until(turnsEnded(2));
    expect(ofType(received, "turn_cancelled").map(({ turn_id }) => turn_id)).toEqual([second.turns[0]?.id]);
    expect(ofType(received, "turn_completed")).toHaveLength(1);
    expect((await say("third")).turns).toEqual([]);
    await stream.close();
  });
});
