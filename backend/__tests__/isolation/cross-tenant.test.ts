import { beforeAll, describe, expect, it } from "vitest";
import { newAgent, newOrganization, newPerson, newThread, ok, type TestOrganization } from "../harness/organization";

const NOBODYS = "01h455vb4pex5vsknk084sn02q";

describe("another organization's ids", () => {
  let mine: TestOrganization;
  let theirs: { thread: string; agent: string; person: string; participant: string; turn: string };
  let ownThread: string;
  beforeAll(async () => {
    const [own, other] = await Promise.all([newOrganization(), newOrganization()]);
    mine = own;
    const [agent, person] = await Promise.all([newAgent(other, "Theirs"), newPerson(other, "Their person")]);
    const thread = await newThread(other, [agent]);
    const { turns, context } = await ok(
      other.call<{ turns: { id: string }[]; context: { participants: { id: string }[] } }>(
        "POST",
        `/threads/${thread}/messages`,
        { content: "canary-6b1f" },
      ),
    );
    theirs = { thread, agent, person, participant: context.participants[0]?.id ?? "", turn: turns[0]?.id ?? "" };
    ownThread = await newThread(mine);
  });

  /** Method, path and body, made of the ids of a victim or of nobody. */
  type Route = (ids: typeof theirs) => [method: string, path: string, body?: unknown];
  const routes: [string, Route][] = [
    ["reading a thread", (v) => ["GET", `/threads/${v.thread}`]],
    ["changing a thread", (v) => ["PATCH", `/threads/${v.thread}`, { title: "mine now" }]],
    ["archiving a thread", (v) => ["DELETE", `/threads/${v.thread}`]],
    ["purging a thread", (v) => ["DELETE", `/threads/${v.thread}?purge=true`]],
    ["reading messages", (v) => ["GET", `/threads/${v.thread}/messages`]],
    ["posting a message", (v) => ["POST", `/threads/${v.thread}/messages`, { content: "hello" }]],
    ["listing participants", (v) => ["GET", `/threads/${v.thread}/participants`]],
    ["adding participants", (v) => ["POST", `/threads/${v.thread}/participants`, { people: [mine.userId] }]],
    ["removing a participant", (v) => ["DELETE", `/threads/${v.thread}/participants/${v.participant}`]],
    [
      "removing their participant from an own thread",
      (v) => ["DELETE", `/threads/${ownThread}/participants/${v.participant}`],
    ],
    ["cancelling a turn", (v) => ["POST", `/threads/${v.thread}/turns/${v.turn}/cancel`]],
    ["cancelling their turn in an own thread", (v) => ["POST", `/threads/${ownThread}/turns/${v.turn}/cancel`]],
    ["streaming", (v) => ["GET", `/threads/${v.thread}/stream`]],
    ["reading an agent", (v) => ["GET", `/agents/${v.agent}`]],
    ["reading an agent's versions", (v) => ["GET", `/agents/${v.agent}/versions`]],
    ["making a version of an agent", (v) => ["POST", "/agents", { agent_id: v.agent, name: "x", system_prompt: "x" }]],
    ["searching in a thread", (v) => ["GET", `/search?q=canary-6b1f&thread_id=${v.thread}`]],
  ];

  it.each(routes)("%s: the same answer as for what is not there (SEC-1)", async (_name, route) => {
    const nobody = {
      thread: `thread_${NOBODYS}`,
      agent: `agent_${NOBODYS}`,
      person: `user_${NOBODYS}`,
      participant: `part_${NOBODYS}`,
      turn: `turn_${NOBODYS}`,
    };
    const [foreign, missing] = [await mine.call(...route(theirs)), await mine.call(...route(nobody))];
    expect(foreign).toEqual(missing);
    expect(JSON.stringify(foreign)).not.toContain("canary");
  });

  it.each([
    ["people", (v: typeof theirs) => ({ people: [v.person] })],
    ["agents", (v: typeof theirs) => ({ agents: [v.agent] })],
  ])("cannot be made %s of an own thread (SEC-1)", async (_name, body) => {
    const before = await mine.call("GET", `/threads/${ownThread}/participants`);
    const { status } = await mine.call("POST", `/threads/${ownThread}/participants`, body(theirs));
    expect(status).toBe(400);
    expect(await mine.call("GET", `/threads/${ownThread}/participants`)).toEqual(before);
  });

  it("appear in no list and no search (SEC-1)", async () => {
    for (const path of ["/threads", "/agents", "/people", "/api-keys", "/search?q=canary-6b1f"]) {
      const { status, body } = await mine.call("GET", path);
      expect(status).toBe(200);
      const text = JSON.stringify(body);
      for (const id of Object.values(theirs)) expect(text).not.toContain(id);
      expect(text).not.toContain("canary-6b1f");
    }
  });
});
