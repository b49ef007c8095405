import { beforeAll, describe, expect, it } from "vitest";
import {
  type Context,
  newAgent,
  newOrganization,
  newPerson,
  newThread,
  ok,
  type Problem,
  type TestOrganization,
} from "../harness/organization";

interface Participants {
  participants: Context["participants"];
  context: Context;
}

describe("participants", () => {
  let org: TestOrganization;
  let agent: string;
  let person: string;
  beforeAll(async () => {
    org = await newOrganization();
    [agent, person] = await Promise.all([newAgent(org, "Scout"), newPerson(org, "Ana")]);
  });

  const texts = async (id: string) =>
    (await ok(org.call<{ messages: { sender_type: string; content: string }[] }>("GET", `/threads/${id}/messages`)))
      .messages;

  it("adds people and agents; each joining is a system message (THR-2)", async () => {
    const id = await newThread(org);
    const { participants, context } = await ok(
      org.call<Participants>("POST", `/threads/${id}/participants`, { people: [person], agents: [agent] }),
    );
    expect(participants.map(({ kind, name }) => [kind, name])).toEqual([
      ["user", "Owner"],
      ["user", "Ana"],
      ["agent", "Scout"],
    ]);
    expect(context.participants).toEqual(participants);
    expect(await texts(id)).toMatchObject([
      { sender_type: "system", content: "Owner joined the conversation." },
      { sender_type: "system", content: "Ana joined the conversation." },
      { sender_type: "system", content: "Scout joined the conversation." },
    ]);
    expect((await ok(org.call<Participants>("GET", `/threads/${id}/participants`))).participants).toEqual(participants);
  });

  it("leaves whoever takes part already as they are (THR-2)", async () => {
    const id = await newThread(org, [], [person]);
    const again = await ok(org.call<Participants>("POST", `/threads/${id}/participants`, { people: [person, person] }));
    expect(again.participants.filter((p) => p.user_id === person)).toHaveLength(1);
    expect(await texts(id)).toHaveLength(2);
  });

  it("adds the same person once when asked twice at the same instant (THR-3)", async () => {
    const id = await newThread(org);
    await Promise.all(
      [1, 2, 3, 4].map(() => ok(org.call("POST", `/threads/${id}/participants`, { people: [person] }))),
    );
    const { participants, context } = await ok(org.call<Participants>("GET", `/threads/${id}/participants`));
    expect(participants.filter((p) => p.user_id === person)).toHaveLength(1);
    expect(context.last_seq).toBe(4);
  });

  it("removes a participant with a system message, who may come back (THR-2)", async () => {
    const id = await newThread(org, [], [person]);
    const { participants } = await ok(org.call<Participants>("GET", `/threads/${id}/participants`));
    const ana = participants.find((p) => p.user_id === person);
    const left = await ok(org.call<Participants>("DELETE", `/threads/${id}/participants/${ana?.id}`));
    expect(left.participants.map((p) => p.name)).toEqual(["Owner"]);
    expect((await texts(id)).at(-1)).toMatchObject({ sender_type: "system", content: "Ana left the conversation." });
    const again = await org.call<Problem>("DELETE", `/threads/${id}/participants/${ana?.id}`);
    expect(again.status).toBe(404);
    expect(again.body.details.reason).toBe("participant_not_found");
    const back = await ok(org.call<Participants>("POST", `/threads/${id}/participants`, { people: [person] }));
    expect(back.participants.map((p) => p.name)).toEqual(["Owner", "Ana"]);
  });

  it("refuses unknown ids whole, with the conversation's context (THR-3, THR-5)", async () => {
    const id = await newThread(org);
    const { status, body } = await org.call<Problem>("POST", `/threads/${id}/participants`, {
      people: [person],
      agents: ["agent_01h455vb4pex5vsknk084sn02q"],
    });
    expect(status).toBe(400);
    expect(body.details).toMatchObject({ reason: "unknown_agent", context: { thread: { id }, last_seq: 2 } });
    expect(body.details.hint).not.toBe("");
  });

  it("asks for somebody to be named", async () => {
    const id = await newThread(org);
    const { status, body } = await org.call<Problem>("POST", `/threads/${id}/participants`, {});
    expect(status).toBe(400);
    expect(body.details.reason).toBe("nobody_named");
  });
});
