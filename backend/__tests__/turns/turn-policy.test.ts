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
import { ofType, openStream, turnsEnded } from "../harness/stream";

interface Posted {
  message: { id: string; mentions: string[] };
  turns: { agent_id: string }[];
  no_answer: { reason: string; hint: string } | null;
  context: Context;
}

describe("who answers", () => {
  let org: TestOrganization;
  let ana: string;
  let agents: Record<"Ada" | "Ada Byron" | "Scribe", string>;
  beforeAll(async () => {
    org = await newOrganization();
    const [ada, byron, scribe] = await Promise.all(["Ada", "Ada Byron", "Scribe"].map((name) => newAgent(org, name)));
    agents = { Ada: ada ?? "", "Ada Byron": byron ?? "", Scribe: scribe ?? "" };
    ana = await newPerson(org, "Ana");
  });
  const all = () => [agents.Ada, agents["Ada Byron"], agents.Scribe];
  const say = (id: string, content: string, more: object = {}) =>
    ok(org.call<Posted>("POST", `/threads/${id}/messages`, { content, ...more }));
  const set = (id: string, settings: object) => ok(org.call<{ context: Context }>("PATCH", `/threads/${id}`, settings));
  const answerers = (posted: Posted) => posted.turns.map((turn) => turn.agent_id);

  it("a text's @Name chooses who answers, merged with mentions, and is stored with the message (AGT-2)", async () => {
    const id = await newThread(org, all(), [ana]);
    const stream = await openStream(org, id);
    const byron = await say(id, "@ada byron, are you there? mail me at x@ada.com, `@Scribe`");
    expect(answerers(byron)).toEqual([agents["Ada Byron"]]);
    expect(byron.message.mentions).toEqual([agents["Ada Byron"]]);
    const both = await say(id, "@Scribe and @Ana: look", { mentions: [agents.Ada] });
    expect(answerers(both)).toEqual([agents.Ada, agents.Scribe]);
    const everybody = [agents.Ada, agents.Scribe, ana];
    expect(both.message.mentions).toEqual(everybody);
    // A client that follows is told whom to notify; so is one that reads the messages.
    const received = await stream.until((so) =>
      ofType(so, "message").some(({ message }) => message.id === both.message.id),
    );
    await stream.close();
    expect(ofType(received, "message").find(({ message }) => message.id === both.message.id)?.message.mentions).toEqual(
      everybody,
    );
    const { messages } = await ok(
      org.call<{ messages: { id: string; mentions: string[] }[] }>("GET", `/threads/${id}/messages?limit=500`),
    );
    expect(messages.find((message) => message.id === both.message.id)?.mentions).toEqual(everybody);
  });

  it("a name that several bear addresses all of them, unless mentions says who is meant (AGT-2)", async () => {
    const twin = await newAgent(org, "ada");
    const id = await newThread(org, [agents.Ada, twin]);
    expect(answerers(await say(id, "@Ada!")).sort()).toEqual([agents.Ada, twin].sort());
    const meant = await say(id, "@Ada!", { mentions: [twin] });
    expect(answerers(meant)).toEqual([twin]);
    expect(meant.message.mentions).toEqual([twin]);
  });

  it("refuses mentions of who takes no part, with the conversation's context (AGT-2, THR-5)", async () => {
    const id = await newThread(org, [agents.Ada]);
    const { status, body } = await org.call<Problem>("POST", `/threads/${id}/messages`, {
      content: "hi",
      mentions: [agents.Ada, agents.Scribe, ana],
    });
    expect(status).toBe(400);
    expect(body.details).toMatchObject({
      reason: "unknown_mention",
      unknown: [agents.Scribe, ana],
      context: { thread: { id } },
    });
  });

  it("all: every agent answers unless some are mentioned; whoever addresses people only is left to them (AGT-2)", async () => {
    const id = await newThread(org, all(), [ana]);
    expect((await set(id, {})).context.thread).toMatchObject({ turn_policy: "all", coordinator_id: null });
    expect(answerers(await say(id, "everybody?"))).toEqual(all());
    const toAna = await say(id, "@Ana, what do you think?");
    expect(toAna).toMatchObject({ turns: [], no_answer: { reason: "people_mentioned" } });
    expect(await say(id, "aside", { mentions: [] })).toMatchObject({
      turns: [],
      no_answer: { reason: "nobody_asked" },
    });
  });

  it("mentioned: nobody answers who was not mentioned, and the answer says so (AGT-2)", async () => {
    const id = await newThread(org, all());
    expect((await set(id, { turn_policy: "mentioned" })).context.thread.turn_policy).toBe("mentioned");
    const silent = await say(id, "anybody?");
    expect(silent).toMatchObject({ turns: [], no_answer: { reason: "nobody_mentioned" } });
    expect(silent.no_answer?.hint).toContain("@Name");
    const asked = await say(id, "@Scribe?");
    expect(answerers(asked)).toEqual([agents.Scribe]);
    expect(asked.no_answer).toBeNull();
  });

  it("round_robin: agents take turns, also when messages come at once; a mention goes out of turn (AGT-2)", async () => {
    const id = (
      await ok(org.call<{ thread: { id: string } }>("POST", "/threads", { agents: all(), turn_policy: "round_robin" }))
    ).thread.id;
    const together = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => say(id, `message ${n}`)));
    const asked = together.map(answerers);
    expect(asked.every((one) => one.length === 1)).toBe(true);
    expect(asked.flat().sort()).toEqual([...all(), ...all()].sort());
    expect(answerers(await say(id, "one"))).toEqual([agents.Ada]);
    expect(answerers(await say(id, "@Scribe, out of turn"))).toEqual([agents.Scribe]);
    expect(answerers(await say(id, "two"))).toEqual([agents["Ada Byron"]]);
    // Whoever leaves or becomes a listener is left out; the order goes on.
    const scribe = (await set(id, {})).context.participants.find((p) => p.agent_id === agents.Scribe);
    await ok(org.call("PATCH", `/threads/${id}/participants/${scribe?.id}`, { role: "listener" }));
    expect(answerers(await say(id, "three"))).toEqual([agents.Ada]);
    expect(await say(id, "@Scribe?")).toMatchObject({ turns: [], no_answer: { reason: "listeners_mentioned" } });
  });

  it("coordinator: one agent answers everything, whoever is mentioned (AGT-2)", async () => {
    const id = await newThread(org, all());
    const needed = await org.call<Problem>("PATCH", `/threads/${id}`, { turn_policy: "coordinator" });
    expect(needed.status).toBe(400);
    expect(needed.body.details).toMatchObject({
      reason: "coordinator_needed",
      context: { thread: { turn_policy: "all" } },
    });
    const stranger = await newAgent(org, "Stranger");
    const unknown = await org.call<Problem>("PATCH", `/threads/${id}`, { coordinator_id: stranger });
    expect(unknown.body.details.reason).toBe("unknown_coordinator");

    const { context } = await set(id, { turn_policy: "coordinator", coordinator_id: agents.Scribe });
    expect(context.thread).toMatchObject({ turn_policy: "coordinator", coordinator_id: agents.Scribe });
    expect(answerers(await say(id, "hello"))).toEqual([agents.Scribe]);
    expect(answerers(await say(id, "@Ada hello"))).toEqual([agents.Scribe]);
    const scribe = context.participants.find((p) => p.agent_id === agents.Scribe);
    await ok(org.call("DELETE", `/threads/${id}/participants/${scribe?.id}`));
    expect(await say(id, "hello?")).toMatchObject({ turns: [], no_answer: { reason: "no_coordinator" } });
  });

  it("refuses limits that are none, and keeps those left out (AGT-2)", async () => {
    const id = await newThread(org);
    const limits = { hops: 8, turns: 32, tokens: 200_000 };
    expect((await set(id, {})).context.thread.exchange_limits).toEqual(limits);
    for (const bad of [{ hops: 65 }, { hops: -1 }, { turns: 257 }, { turns: 1.5 }, { tokens: 10_000_001 }]) {
      const { status, body } = await org.call<Problem>("PATCH", `/threads/${id}`, { exchange_limits: bad });
      expect(status).toBe(400);
      expect(body.details).toMatchObject({ reason: "bad_exchange_limit", context: { thread: { id } } });
    }
    const { context } = await set(id, { exchange_limits: { hops: 0 } });
    expect(context.thread.exchange_limits).toEqual({ ...limits, hops: 0 });
  });

  it("several people and several agents talk, and each agent hears everybody by name (AGT-1)", async () => {
    const ben = await newPerson(org, "Ben");
    const id = await newThread(org, [agents.Ada, agents.Scribe], [ana, ben]);
    await set(id, { turn_policy: "mentioned" });
    const stream = await openStream(org, id);
    const word = id.slice(-8);
    await say(id, `I bring the tea ${word}`, { sender_id: ana });
    await say(id, `@Ada who brings what? ${word}`, { sender_id: ben });
    await stream.until(turnsEnded(1));
    await say(id, `@Scribe write it down ${word}`, { sender_id: ana });
    const received = await stream.until(turnsEnded(2));
    await stream.close();
    const spoken = ofType(received, "message").filter(({ message }) => message.sender_type !== "system");
    expect(spoken.map(({ message }) => message.sender_name)).toEqual(["Ana", "Ben", "Ada", "Ana", "Scribe"]);
    // The dev model says who spoke last and whom else it heard.
    expect(spoken[2]?.message.content).toMatch(/^Ben, this is Ada\..*I also heard Ana\./);
    expect(spoken[4]?.message.content).toMatch(/^Ana, this is Scribe\..*I also heard Ben, Ada\./);
  });
});
