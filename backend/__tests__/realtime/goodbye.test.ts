import { describe, expect, inject, it } from "vitest";
import type { ByeReason } from "../../realtime/protocol";
import { adminQuery } from "../harness/database";
import { newOrganization, newThread, ok, type TestOrganization } from "../harness/organization";
import { memberOf, openSocket, type RawSocket, texts } from "./socket";

/** A thread with a socket in it that has been shown everything. */
async function inThread(org?: TestOrganization, tab?: string) {
  const whose = org ?? (await newOrganization());
  const threadId = await newThread(whose);
  const socket = await openSocket(whose, threadId, tab ? { tab } : {});
  await caughtUp(socket);
  return { org: whose, threadId, socket };
}

function caughtUp(socket: RawSocket) {
  return socket.until(() => socket.of("event").some(({ event }) => event.type === "caught_up"));
}

/** Whether the last message says why, and the socket is closed after it. */
async function saysGoodbye(socket: RawSocket, reason: ByeReason, ms?: number) {
  const bye = await socket.first("bye", () => true, ms);
  expect(bye.reason).toBe(reason);
  expect(bye.reconnect).toBe(bye.after_ms !== null);
  await socket.closed;
  expect(socket.received.at(-1)).toBe(bye);
  return bye;
}

describe.concurrent("what cannot be done is said", () => {
  it("answers every message that does not fit, and stays (WS-1)", async () => {
    const { socket } = await inThread();
    const wrong: [unknown, string, string | null][] = [
      [{}, "unknown_message_type", null],
      [{ type: 5, id: "a" }, "unknown_message_type", "a"],
      [{ type: "shout", id: "b" }, "unknown_message_type", "b"],
      [{ type: "send", id: "c" }, "bad_message", "c"],
      [{ type: "send", id: "d", content: { text: "x" } }, "bad_message", "d"],
      [{ type: "send", content: "without an id" }, "bad_message", null],
      [{ type: "send", id: "e", content: null }, "bad_message", "e"],
      [{ type: "send", id: "f", content: "x", mentions: "agent" }, "bad_message", "f"],
      [{ type: "send", id: "g", content: "" }, "bad_content", "g"],
      [{ type: "send", id: "h", content: "x".repeat(100_001) }, "bad_content", "h"],
      [{ type: "read", id: "i", seq: -1 }, "bad_message", "i"],
      [{ type: "read", id: "j", seq: 1.5 }, "bad_message", "j"],
      [{ type: "react", id: "k", message_id: "m", emoji: "two words" }, "bad_message", "k"],
      [{ type: "cancel", id: "l", turn_id: "turn_none" }, "turn_not_found", "l"],
      [{ type: "typing", id: ["m"], typing: true }, "bad_message", null],
    ];
    for (const [message] of wrong) socket.send(message);
    await socket.until(() => socket.of("refused").length === wrong.length);
    const refused = socket.of("refused").map(({ reason, id }) => `${reason} ${id}`);
    expect(refused.toSorted()).toEqual(wrong.map(([, reason, id]) => `${reason} ${id}`).toSorted());
    for (const { hint, message } of socket.of("refused")) {
      expect(hint).not.toBe("");
      expect(message).not.toContain("two words"); // nothing of what was sent is quoted
    }
    // What is no JSON object never reaches the service: Encore drops it.
    for (const dropped of ["not json", "[]", "5"]) socket.send(dropped);
    socket.send({ type: "ping", id: "here?" });
    expect(await socket.first("pong")).toEqual({ type: "pong", id: "here?" });
    expect(socket.of("refused")).toHaveLength(wrong.length);
    socket.cut();
  });

  it("refuses what comes too fast, says when to send it again, and takes it then (WS-1)", async () => {
    const { socket } = await inThread();
    for (let i = 0; i < 45; i++) socket.send({ type: "ping", id: `p${i}` });
    const refused = await socket.first("refused");
    expect(refused).toMatchObject({ reason: "too_fast" });
    expect(refused.retry_after_ms).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, refused.retry_after_ms ?? 0));
    socket.send({ type: "ping", id: "again" });
    await socket.first("pong", ({ id }) => id === "again");
    socket.cut();
  });

  it("ends who goes on sending what is refused (WS-1)", async () => {
    const { socket } = await inThread();
    for (let i = 0; i < 120; i++) socket.send({ type: "nonsense" });
    expect(await saysGoodbye(socket, "too_many_refused")).toMatchObject({ reconnect: false });
  });

  it("takes another organization's thread for one that is not there, byte for byte (WS-1, SEC-1)", async () => {
    const [mine, theirs] = await Promise.all([newOrganization(), newOrganization()]);
    const foreign = await newThread(theirs);
    const answers = await Promise.all(
      [foreign, "thread_01kas3h5v4e8q9z2m6n7p8r9st", "nonsense"].map(async (id) => {
        const socket = await openSocket(mine, id);
        await saysGoodbye(socket, "thread_not_found");
        return JSON.stringify(socket.received);
      }),
    );
    expect(new Set(answers).size).toBe(1);
  });

  it("refuses a cursor of another thread, one ahead of the log, and an unusable tab (WS-2)", async () => {
    const { org, threadId, socket } = await inThread();
    const other = await inThread(org);
    const foreign = other.socket.of("event").at(-1)?.cursor;
    await saysGoodbye(await openSocket(org, threadId, { cursor: foreign ?? "" }), "bad_cursor");
    await saysGoodbye(await openSocket(org, threadId, { cursor: "1" }), "bad_cursor");
    await saysGoodbye(await openSocket(org, threadId, { tab: "two words" }), "bad_tab");
    for (const each of [socket, other.socket]) each.cut();
  });

  it("opens nothing without a valid key (WS-1, SEC-4)", async () => {
    const { org, threadId, socket } = await inThread();
    await expect(openSocket(org, threadId, { key: `${org.apiKey.slice(0, -1)}_` })).rejects.toThrow("401");
    socket.cut();
  });

  it("ends the connection of a revoked key, with its reason, within five seconds (WS-1, SEC-4)", async () => {
    const org = await newOrganization();
    const ada = await memberOf(org, "Ada");
    const { socket } = await inThread(ada);
    await ok(org.call("DELETE", `/api-keys/${ada.keyId}`));
    expect(await saysGoodbye(socket, "key_invalid", 5_000)).toMatchObject({ reconnect: false });
  });

  it("ends the connection of somebody who is no member any more (WS-1, SEC-1)", async () => {
    const org = await newOrganization();
    const ada = await memberOf(org, "Ada");
    const { socket } = await inThread(ada);
    await adminQuery(inject("graphyn").adminUrl, "delete from members where user_id = $1", [ada.userId]);
    await saysGoodbye(socket, "key_invalid", 5_000);
  });

  it("shows an archived thread to its end, and then says so (WS-1)", async () => {
    const { org, threadId, socket } = await inThread();
    await ok(org.call("POST", `/threads/${threadId}/messages`, { content: "last words" }));
    await ok(org.call("DELETE", `/threads/${threadId}`));
    expect(await saysGoodbye(socket, "thread_archived")).toMatchObject({ reconnect: false });
    expect(texts(socket.received)).toContain("last words");
    const late = await openSocket(org, threadId);
    await saysGoodbye(late, "thread_archived");
    expect(texts(late.received)).toContain("last words");
  });

  it("says that a thread was erased (WS-1)", async () => {
    const { org, threadId, socket } = await inThread();
    await ok(org.call("DELETE", `/threads/${threadId}?purge=true`));
    expect(await saysGoodbye(socket, "thread_erased")).toMatchObject({ reconnect: false });
  });

  it("holds one person to twenty connections, and takes one more when one has gone (WS-1)", async () => {
    const { org, threadId, socket } = await inThread();
    const others = await Promise.all(Array.from({ length: 19 }, () => openSocket(org, threadId)));
    await Promise.all(others.map((other) => other.first("welcome")));
    const bye = await saysGoodbye(await openSocket(org, threadId), "too_many_connections");
    expect(bye.after_ms).toBeGreaterThan(0);
    socket.send({ type: "leave" });
    await socket.closed;
    const next = await openSocket(org, threadId);
    await next.first("welcome");
    for (const each of [...others, next]) each.cut();
  });

  it("ends a reader who is a mebibyte behind, who loses nothing; one who answers is given everything (WS-1, WS-2)", async () => {
    const { org, threadId, socket } = await inThread();
    socket.pause();
    const long = Array.from({ length: 30 }, (_, i) => `${i} `.padEnd(90_000, "x"));
    for (const content of long) await ok(org.call("POST", `/threads/${threadId}/messages`, { content }));
    socket.resume();
    const bye = await saysGoodbye(socket, "slow_reader");
    expect(bye).toMatchObject({ reconnect: true, after_ms: 0 });
    const before = texts(socket.received).filter((text) => text.length > 1_000);
    expect(before.length).toBeLessThan(long.length);
    const again = await openSocket(org, threadId, { cursor: bye.cursor ?? "" });
    await again.until((received) => texts(received).length + before.length >= long.length);
    expect([...before, ...texts(again.received)]).toEqual(long);
    again.cut();
  });
});
