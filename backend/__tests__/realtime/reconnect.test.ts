import { afterEach, describe, expect, it } from "vitest";
import type { Message } from "../../lib/events";
import { newAgent, newOrganization, newThread, ok, through } from "../harness/organization";
import { startTcpProxy, type TcpProxy } from "../harness/tcp-proxy";
import { openClient, seqs, spoken, type TestClient } from "./client";
import { memberOf, openSocket } from "./socket";

const opened: { proxies: TcpProxy[]; clients: TestClient[] } = { proxies: [], clients: [] };
afterEach(async () => {
  await Promise.all(opened.clients.splice(0).map((client) => client.leave()));
  await Promise.all(opened.proxies.splice(0).map((proxy) => proxy.close()));
});

/** A thread with an agent, and a client that reaches it through a proxy that breaks. */
async function behindProxy(model?: string) {
  const org = await newOrganization();
  const agents = model === undefined ? [] : [await newAgent(org, "Talker", model)];
  const threadId = await newThread(org, agents);
  const proxy = await startTcpProxy(org.url);
  opened.proxies.push(proxy);
  const client = openClient(through(org, proxy.url), threadId);
  opened.clients.push(client);
  await client.until(() => client.events.some(({ type }) => type === "caught_up"));
  return { org, threadId, proxy, client };
}

describe("coming back", () => {
  it("goes on in the middle of an answer, as often as the connection breaks: every entry once, every word once (WS-2, SSE-4)", async () => {
    const { org, threadId, proxy, client } = await behindProxy("openai-proxy/dev-n100-r50");
    const { turns } = await client.send("Tell me everything");
    const turnId = turns?.[0]?.id ?? "";
    for (const chars of [20, 80, 160]) {
      await client.until(() => (spoken(client.events).get(turnId)?.length ?? 0) > chars);
      proxy.dropConnections();
    }
    await client.until(() => client.events.some(({ type }) => type === "turn_completed"));
    const { messages } = await ok(org.call<{ messages: Message[] }>("GET", `/threads/${threadId}/messages`));
    const answer = messages.find(({ turn_id }) => turn_id === turnId);
    expect(spoken(client.events).get(turnId)).toBe(answer?.content);
    expect(seqs(client.events)).toEqual(messages.map(({ seq }) => seq));
    expect(client.states.filter((state) => state === "live").length).toBeGreaterThan(3);
  });

  it("sends again what was not answered, with the same id, and it is stored once (WS-2, THR-6)", async () => {
    const { org, threadId, proxy, client } = await behindProxy();
    proxy.fault = { kind: "swallow" }; // the message arrives, its answer does not
    const sending = client.send("heard and not answered");
    const said = async () =>
      (await ok(org.call<{ messages: Message[] }>("GET", `/threads/${threadId}/messages`))).messages.filter(
        ({ sender_type }) => sender_type === "user",
      );
    await client.until(() => proxy.fault.kind === "swallow");
    while ((await said()).length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    proxy.fault = { kind: "none" };
    proxy.dropConnections();
    const { message } = await sending;
    const stored = await said();
    expect(stored.map(({ id }) => id)).toEqual([message?.id]);
    await client.until(() => seqs(client.events).includes(message?.seq ?? 0));
    expect(seqs(client.events).filter((seq) => seq === message?.seq)).toHaveLength(1);
  });

  it("keeps what was said while there was no connection, and says it afterwards in its order (WS-2)", async () => {
    const { proxy, client } = await behindProxy();
    await proxy.goDown();
    await client.until(() => client.state !== "live");
    // More than the server takes at once, and leaves unanswered at once.
    const sending = Array.from({ length: 60 }, (_, i) => client.send(`message ${i}`));
    await proxy.comeBack();
    const acks = await Promise.all(sending);
    const places = acks.map(({ message }) => message?.seq ?? 0);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    await client.until(() => seqs(client.events).includes(places.at(-1) ?? 0));
    expect(new Set(seqs(client.events)).size).toBe(seqs(client.events).length);
  });

  it("gives up for good when the key is not valid, or the server says not to come back (WS-2, SEC-4)", async () => {
    const org = await newOrganization();
    const ada = await memberOf(org, "Ada");
    const threadId = await newThread(ada);
    const client = openClient(ada, threadId);
    await client.until(() => client.state === "live");
    const waiting = client.send("hello");
    await waiting;
    await ok(org.call("DELETE", `/api-keys/${ada.keyId}`));
    expect(await client.ended).toBe("key_invalid");
    await expect(client.send("too late")).rejects.toThrow("ended");
    const another = openClient(ada, threadId, { apiKey: () => "gk_none" });
    expect(await another.ended).toBe("unauthenticated");
    const nowhere = openClient(org, "thread_01kas3h5v4e8q9z2m6n7p8r9st");
    expect(await nowhere.ended).toBe("thread_not_found");
  });

  it("rejects what is refused, with the reason (WS-1)", async () => {
    const { client } = await behindProxy();
    await expect(client.send("x".repeat(100_001))).rejects.toMatchObject({ refusal: { reason: "bad_content" } });
    await expect(client.react("msg_none", "👍")).rejects.toMatchObject({ refusal: { reason: "message_not_found" } });
  });
});

describe.concurrent("a half-open connection", () => {
  it("is found by the server within thirty seconds: others see its person leave (WS-2)", async () => {
    const org = await newOrganization();
    const ada = await memberOf(org, "Ada");
    const threadId = await newThread(org, [], [ada.userId]);
    const proxy = await startTcpProxy(org.url);
    const watcher = await openSocket(org, threadId);
    await watcher.first("welcome"); // who is there already is no news
    const hers = await openSocket(ada, threadId, { at: proxy.url });
    await watcher.first("person", ({ person }) => person.user_id === ada.userId);
    proxy.fault = { kind: "black_hole" }; // both ends believe that they are connected
    const left = ({ person }: { person: { user_id: string; tabs: unknown[] } }) =>
      person.user_id === ada.userId && person.tabs.length === 0;
    await watcher.first("person", left, 30_000);
    watcher.cut();
    hers.cut();
    await proxy.close();
  });

  it("is found by the client within thirty seconds, who comes back and misses nothing (WS-2)", async () => {
    const org = await newOrganization();
    const threadId = await newThread(org);
    const proxy = await startTcpProxy(org.url);
    const client = openClient(through(org, proxy.url), threadId);
    await client.until(() => client.events.some(({ type }) => type === "caught_up"));
    proxy.fault = { kind: "black_hole" };
    await ok(org.call("POST", `/threads/${threadId}/messages`, { content: "while nothing got through" }));
    await client.until(() => client.state !== "live", 30_000);
    proxy.fault = { kind: "none" };
    proxy.dropConnections();
    await client.until(() => client.events.some((e) => e.type === "message" && e.message.content.startsWith("while")));
    expect(new Set(seqs(client.events)).size).toBe(seqs(client.events).length);
    await client.leave();
    await proxy.close();
  });

  it("is met anew, and the question why, too: the client gives both up and comes back (WS-2)", async () => {
    const org = await newOrganization();
    const threadId = await newThread(org);
    const proxy = await startTcpProxy(org.url);
    const client = openClient(through(org, proxy.url), threadId);
    await client.until(() => client.state === "live");
    const before = proxy.accepted;
    proxy.fault = { kind: "black_hole" };
    proxy.dropConnections();
    // The socket that is not opened within ten seconds, and the question by HTTP after it.
    await expect.poll(() => proxy.accepted, { timeout: 20_000 }).toBe(before + 2);
    proxy.fault = { kind: "none" };
    await client.until(() => client.state === "live", 30_000);
    await client.leave();
    await proxy.close();
  });

  it("is one that answers no pings: it is told so, as the last thing (WS-2)", async () => {
    const org = await newOrganization();
    const threadId = await newThread(org);
    const mute = await openSocket(org, threadId, { pongs: false });
    const bye = await mute.first("bye", () => true, 30_000);
    expect(bye).toMatchObject({ reason: "unanswered_pings", reconnect: true, after_ms: 0 });
    expect(mute.of("ping").length).toBeGreaterThan(1);
    await mute.closed;
  });
});
