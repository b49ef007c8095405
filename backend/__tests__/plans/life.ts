import { randomUUID } from "node:crypto";
import { branchesOf } from "../branches/branches";
import { newAgent, newPerson, newThread, ok, type TestOrganization } from "../harness/organization";
import { ofType, openStream, turnsEnded } from "../harness/stream";
import { openSocket } from "../realtime/socket";

/**
 * What people do all day, once: talk with agents, read, follow, come back, search, change their mind. It leaves rows of most tables, and asks
 * what the application asks on its request and turn paths. Resolves with a thread in which agents have answered.
 */
export async function liveADay(org: TestOrganization): Promise<string> {
  const on = branchesOf(org);
  const [ann, ben] = [await newAgent(org, "Ann", MODEL), await newAgent(org, "Ben", MODEL)];
  const person = await newPerson(org, "Ada");
  const talk = await newThread(org, [ann, ben], [person]);
  const stream = await openStream(org, talk);
  for (const [index, content] of SAID.entries()) {
    await on.say(talk, content);
    await stream.until(turnsEnded(2 * (index + 1)));
  }
  const answer = ofType(stream.received, "message").findLast(({ message }) => message.sender_type === "agent")?.message;
  const cursor = stream.received.find(({ event }) => event.type === "turn_completed")?.id ?? "";
  await stream.close();
  if (!answer) throw new Error("no agent has answered");

  await read(org, talk, cursor);
  await collaborate(org, talk, answer.id);
  await rearrange(org, ann, person);

  const slow = await newThread(org, [ann]);
  const { turns } = await on.say(slow, "!tokens 200\n!rate 20");
  await on.say(slow, "and this?", { when_busy: "steer" });
  await ok(org.call("POST", `/threads/${slow}/turns/${turns[0]?.id}/cancel`));
  await on.quiet(slow);
  return talk;
}

/** The same in a thread of before, however long it has become: one more question, and looking at it. */
export async function goOn(org: TestOrganization, id: string): Promise<void> {
  const on = branchesOf(org);
  const { context } = await on.say(id, "And now?");
  await on.quiet(id);
  await read(org, id, context.cursor);
}

const MODEL = "openai-proxy/dev-echo";
const SAID = ["The invoices for March were paid late.", "Our kettle boils water for green tea.", "And on Fridays?"];

async function read(org: TestOrganization, id: string, cursor: string): Promise<void> {
  for (const path of [
    `/threads/${id}`,
    "/threads?limit=2",
    "/threads?state=active",
    `/threads/${id}/messages?limit=2`,
    `/threads/${id}/messages?order=desc&limit=2`,
    `/threads/${id}/messages?include=rewound`,
    `/threads/${id}/branches`,
    "/search?q=green%20tea",
    `/search?q=green%20tea&thread_id=${id}`,
    "/agents",
    "/people",
    "/api-keys",
  ])
    await ok(org.call("GET", path));
  const resumed = await openStream(org, id, cursor);
  await resumed.until((received) => received.some(({ event }) => event.type === "caught_up"));
  await resumed.close();
}

async function collaborate(org: TestOrganization, id: string, messageId: string): Promise<void> {
  const socket = await openSocket(org, id, { tab: "one" });
  await socket.first("welcome");
  socket.send({ type: "typing", typing: true });
  socket.send({ type: "read", seq: 3 });
  socket.send({ type: "react", id: randomUUID(), message_id: messageId, emoji: "👍" });
  const sent = randomUUID(); // a second day says it anew
  socket.send({ type: "send", id: sent, content: "I am here too", mentions: [] });
  await socket.first("ack", ({ id }) => id === sent);
  socket.send({ type: "leave" });
  await socket.closed;
}

async function rearrange(org: TestOrganization, agent: string, person: string): Promise<void> {
  const on = branchesOf(org);
  const id = await newThread(org, [agent]);
  const first = await on.say(id, "first");
  await on.quiet(id);
  const second = await on.say(id, "second");
  await on.quiet(id);
  const answer = (await on.messages(id)).findLast(({ sender_type }) => sender_type === "agent");
  await on.regenerate(id, answer?.id ?? "");
  await on.quiet(id);
  await on.edit(id, second.message.id, "better");
  await on.quiet(id);
  await on.rewind(id, first.message.seq);
  await on.restore(id, 1);
  const { thread } = await on.fork(id);
  await on.merge(id, thread.id);
  await on.split(id, second.message.seq);
  await ok(org.call("POST", `/threads/${id}/participants`, { people: [person] }));
  await ok(org.call("PATCH", `/threads/${id}`, { title: "renamed" }));
}
