import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Message } from "../../lib/events";
import { type Nodes, startNodes } from "../harness/nodes";
import { newThread, ok, through } from "../harness/organization";
import { openClient, seqs } from "./client";
import { openSocket, type RawSocket } from "./socket";

/** Short, so that connections end by themselves during a test. */
const LIFETIME_MS = 2_000;

let nodes: Nodes;
beforeAll(async () => {
  nodes = await startNodes(2);
});
afterAll(() => nodes?.stop());

const isHere = (userId: string, count: number) => (socket: RawSocket) => () => {
  const people = socket.received.flatMap((message) =>
    message.type === "person" ? [message.person] : message.type === "welcome" ? message.people : [],
  );
  return people.filter(({ user_id }) => user_id === userId).at(-1)?.tabs.length === count;
};

describe("two processes on one database", () => {
  it("agree on who is here, who types, who has read and what is said (WS-1, WS-2)", async () => {
    const org = await nodes.organization();
    const threadId = await newThread(org);
    const here = await openSocket(org, threadId, { tab: "here" });
    const there = await openSocket(nodes.at(org, 1), threadId, { tab: "there" });
    await here.until(isHere(org.userId, 2)(here));
    await there.until(isHere(org.userId, 2)(there));
    here.send({ type: "typing", typing: true });
    await there.first("typing", ({ typing }) => typing);
    here.send({ type: "send", id: "m", content: "across" });
    const ack = await here.first("ack");
    await there.until(() =>
      there.of("event").some(({ event }) => event.type === "message" && event.message.id === ack.message?.id),
    );
    await there.first("typing", ({ typing }) => !typing);
    there.send({ type: "read", seq: ack.message?.seq });
    expect(await here.first("read")).toMatchObject({ user_id: org.userId, seq: ack.message?.seq });
    there.send({ type: "leave" });
    await here.until(isHere(org.userId, 1)(here));
    here.cut();
  });

  it("forget the people of a process that was killed, and keep those who came back elsewhere (WS-2)", async () => {
    const org = await nodes.organization();
    const other = nodes.at(org, 1);
    const threadId = await newThread(org);
    const watcher = await openSocket(org, threadId, { tab: "watcher" });
    const lost = await openSocket(other, threadId, { tab: "lost" });
    const moved = await openSocket(other, threadId, { tab: "moved" });
    await watcher.until(isHere(org.userId, 3)(watcher));
    await nodes.nodes[1]?.stop("SIGKILL");
    await Promise.all([lost.closed, moved.closed]);
    const back = await openSocket(org, threadId, { tab: "moved" });
    await watcher.until(isHere(org.userId, 2)(watcher), 40_000); // 25 s after it was last kept alive, and a look
    expect((await back.first("welcome")).people[0]?.tabs.map(({ tab }) => tab)).toContain("moved");
    const tabs = watcher
      .of("person")
      .at(-1)
      ?.person.tabs.map(({ tab }) => tab);
    expect(tabs?.toSorted()).toEqual(["moved", "watcher"]);
    await nodes.restart(1);
    for (const socket of [watcher, back]) socket.cut();
  });

  it("say goodbye when they stop, and nothing is lost for who comes back elsewhere (WS-2)", async () => {
    const org = await nodes.organization();
    const threadId = await newThread(org);
    const socket = await openSocket(nodes.at(org, 1), threadId);
    await socket.until(() => socket.of("event").some(({ event }) => event.type === "caught_up"));
    await nodes.nodes[1]?.stop();
    const bye = await socket.first("bye");
    expect(bye).toMatchObject({ reason: "shutdown", reconnect: true });
    expect(bye.after_ms).toBeGreaterThan(0);
    const { message } = await ok(
      org.call<{ message: Message }>("POST", `/threads/${threadId}/messages`, { content: "meanwhile" }),
    );
    const again = await openSocket(org, threadId, { cursor: bye.cursor ?? "" });
    await again.until(() => again.of("event").some(({ event }) => event.type === "caught_up"));
    const events = again.of("event").map(({ event }) => (event.type === "message" ? event.message.id : event.type));
    expect(events).toEqual([message.id, "caught_up"]);
    again.cut();
    await nodes.restart(1);
  });
});

describe("connections that end by themselves", () => {
  let short: Nodes;
  beforeAll(async () => {
    short = await startNodes(1, { GRAPHYN_STREAM_LIFETIME_MS: String(LIFETIME_MS) });
  });
  afterAll(() => short?.stop());

  it("are noticed by nobody: not by the client's reader, not by others in the thread (WS-2)", async () => {
    const org = await short.organization();
    const threadId = await newThread(org);
    const client = openClient(through(org, org.url), threadId, { tab: "mine" });
    let lives = 0;
    const people: number[] = [];
    const watcher = openClient(org, threadId, {
      tab: "watcher",
      onPerson: ({ tabs }) => people.push(tabs.length),
    });
    await client.until(() => client.state === "live" && watcher.state === "live");
    for (let i = 0; lives < 4; i++) {
      await client.send(`message ${i}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
      lives = client.states.filter((state) => state === "live").length;
    }
    const { messages } = await ok(org.call<{ messages: Message[] }>("GET", `/threads/${threadId}/messages?limit=500`));
    await client.until(() => seqs(client.events).length === messages.length);
    expect(seqs(client.events)).toEqual(messages.map(({ seq }) => seq));
    expect(people.filter((tabs, index) => tabs < (people[index - 1] ?? 0))).toEqual([]); // nobody ever seemed to leave
    await Promise.all([client.leave(), watcher.leave()]);
  });
});
