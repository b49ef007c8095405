import { describe, expect, inject, it } from "vitest";
import asyncapi from "../../realtime/asyncapi.gen.json";
import { newAgent, newOrganization, newThread, ok, request } from "../harness/organization";
import { ofType, openStream } from "../harness/stream";
import { memberOf, openSocket, type RawSocket, texts } from "./socket";

/** The events of the thread, without what repeats a part and without `caught_up`, which each reader gets for itself. */
function eventsOf(socket: RawSocket) {
  return socket.of("event").filter(({ event }) => event.type !== "caught_up");
}

const hasEnded = (socket: RawSocket) => () => eventsOf(socket).some(({ event }) => event.type === "turn_completed");

describe("collaborating in a thread", () => {
  it("is described by the server itself, as AsyncAPI 3 (WS-1, DEP-2)", async () => {
    const { status, body } = await request<typeof asyncapi>(inject("graphyn").url, "GET", "/asyncapi.json");
    expect(status).toBe(200);
    expect(body).toEqual(asyncapi);
    expect(body.asyncapi).toMatch(/^3\./);
    expect(body.channels.collaborate.address).toBe("/threads/{id}/collaborate");
  });

  it("welcomes with who is here and what holds, then shows the stored messages (WS-1)", async () => {
    const org = await newOrganization();
    const threadId = await newThread(org);
    await ok(org.call("POST", `/threads/${threadId}/messages`, { content: "before" }));
    const socket = await openSocket(org, threadId, { tab: "one" });
    expect(await socket.first("welcome")).toMatchObject({
      tab: "one",
      user_id: org.userId,
      context: { thread: { id: threadId } },
      people: [{ user_id: org.userId, name: "Owner", tabs: [{ tab: "one" }] }],
      reads: [],
      limits: { ping_every_ms: 10_000, silence_ms_max: 25_000 },
    });
    await socket.until((received) => texts(received).includes("before"));
    expect(socket.received[0]?.type).toBe("welcome");
    socket.send({ type: "leave" });
    expect(await socket.first("bye")).toMatchObject({ reason: "left", reconnect: false, after_ms: null });
    await socket.closed;
  });

  it("lets two people and an agent talk, live, with the very events and cursors of the stream (WS-1, AGT-1)", async () => {
    const org = await newOrganization();
    const agent = await newAgent(org, "Planner");
    const ada = await memberOf(org, "Ada");
    const threadId = await newThread(org, [agent], [ada.userId]);
    const stream = await openStream(org, threadId);
    const mine = await openSocket(org, threadId);
    const hers = await openSocket(ada, threadId);
    await Promise.all([mine.first("welcome"), hers.first("welcome")]);
    await mine.until(() => mine.of("event").some(({ event }) => event.type === "caught_up"));
    await hers.until(() => hers.of("event").some(({ event }) => event.type === "caught_up"));

    mine.send({ type: "send", id: "m1", content: "What is left to do?" });
    const ack = await mine.first("ack");
    expect(ack).toMatchObject({ id: "m1", message: { sender_id: org.userId }, turns: [{ agent_id: agent }] });
    await hers.until(hasEnded(hers));
    hers.send({ type: "send", id: "m1", content: "I am here too", mentions: [] }); // ids are each caller's own
    await mine.until((received) => texts(received).includes("I am here too"));
    await hers.first("ack");

    await stream.until(() => ofType(stream.received, "message").some((e) => e.message.content === "I am here too"));
    const asStreamed = stream.received
      .filter(({ event }) => event.type !== "caught_up")
      .map(({ id, event }) => ({ cursor: id, event }));
    for (const socket of [mine, hers])
      expect(eventsOf(socket).map(({ cursor, event }) => ({ cursor, event }))).toEqual(asStreamed);
    expect(asStreamed.some(({ event }) => event.type === "ai_chunk")).toBe(true);
    await stream.close();
    for (const socket of [mine, hers]) socket.cut();
  });

  it("stores a message sent twice once, also when the second is sent by HTTP (WS-1, WS-2, THR-6)", async () => {
    const org = await newOrganization();
    const threadId = await newThread(org);
    const first = await openSocket(org, threadId);
    first.send({ type: "send", id: "same", content: "once" });
    first.send({ type: "send", id: "same", content: "once" });
    await first.until(() => first.of("ack").length === 2);
    first.cut();
    const second = await openSocket(org, threadId);
    second.send({ type: "send", id: "same", content: "once" });
    const ack = await second.first("ack");
    const again = await ok(
      org.call<{ message: { id: string } }>(
        "POST",
        `/threads/${threadId}/messages`,
        { content: "once" },
        { "idempotency-key": "same" },
      ),
    );
    expect(new Set([...first.of("ack"), ack].map(({ message }) => message?.id))).toEqual(new Set([again.message.id]));
    await second.until((received) => texts(received).includes("once"));
    expect(texts(second.received).filter((text) => text === "once")).toHaveLength(1);
    second.send({ type: "send", id: "same", content: "another" });
    expect(await second.first("refused")).toMatchObject({ id: "same", retry_after_ms: null });
    second.cut();
  });

  it("cancels a turn, and answers when it has ended with what was said (WS-1, SSE-6)", async () => {
    const org = await newOrganization();
    const agent = await newAgent(org, "Talker", "openai-proxy/dev-n200-r20");
    const threadId = await newThread(org, [agent]);
    const socket = await openSocket(org, threadId);
    socket.send({ type: "send", id: "ask", content: "Tell me everything" });
    await socket.until(() => eventsOf(socket).some(({ event }) => event.type === "ai_chunk"));
    const turnId = (await socket.first("ack")).turns?.[0]?.id;
    socket.send({ type: "cancel", id: "stop", turn_id: turnId });
    const ack = await socket.first("ack", ({ id }) => id === "stop");
    expect(ack.turns).toMatchObject([{ id: turnId, state: "cancelled" }]);
    await socket.until(() => eventsOf(socket).some(({ event }) => event.type === "turn_cancelled"));
    const kept = eventsOf(socket).flatMap(({ event }) => (event.type === "message" ? [event.message] : []));
    expect(kept.at(-1)).toMatchObject({ status: "cancelled", turn_id: turnId });
    socket.cut();
  });

  it("shows reactions to sockets and streams as entries of the log, once each, to new readers too (WS-1)", async () => {
    const org = await newOrganization();
    const threadId = await newThread(org);
    const stream = await openStream(org, threadId);
    const socket = await openSocket(org, threadId);
    socket.send({ type: "send", id: "m", content: "like this" });
    const message = (await socket.first("ack")).message;
    socket.send({ type: "react", id: "r1", message_id: message?.id, emoji: "👍" });
    socket.send({ type: "react", id: "r2", message_id: message?.id, emoji: "👍" }); // is there already
    socket.send({ type: "react", id: "r3", message_id: message?.id, emoji: "🎉" });
    socket.send({ type: "react", id: "r4", message_id: message?.id, emoji: "👍", remove: true });
    await socket.first("ack", ({ id }) => id === "r4");
    const wanted = [
      { action: "added", emoji: "👍" },
      { action: "added", emoji: "🎉" },
      { action: "removed", emoji: "👍" },
    ].map((change) => ({ ...change, message_id: message?.id, user_id: org.userId, name: "Owner" }));
    await stream.until(() => ofType(stream.received, "reaction").length === 3);
    expect(ofType(stream.received, "reaction")).toMatchObject(wanted);
    const late = await openSocket(org, threadId);
    await late.until(() => late.of("event").some(({ event }) => event.type === "caught_up"));
    expect(late.of("event").flatMap(({ event }) => (event.type === "reaction" ? [event] : []))).toMatchObject(wanted);
    socket.send({ type: "react", id: "r5", message_id: "msg_unknown", emoji: "👍" });
    expect(await socket.first("refused")).toMatchObject({ id: "r5", reason: "message_not_found" });
    await stream.close();
    for (const each of [socket, late]) each.cut();
  });

  it("keeps read positions for good and only moves them forward (WS-1)", async () => {
    const org = await newOrganization();
    const ada = await memberOf(org, "Ada");
    const threadId = await newThread(org, [], [ada.userId]);
    const mine = await openSocket(org, threadId);
    const hers = await openSocket(ada, threadId);
    await hers.first("welcome");
    await mine.first("welcome");
    mine.send({ type: "read", id: "r1", seq: 3 });
    expect(await hers.first("read")).toEqual({ type: "read", user_id: org.userId, seq: 3 });
    mine.send({ type: "read", id: "r2", seq: 1 });
    expect(await mine.first("ack", ({ id }) => id === "r2")).toMatchObject({ seq: 3 });
    mine.send({ type: "read", id: "r3", seq: 999 });
    expect(await mine.first("refused")).toMatchObject({ id: "r3", reason: "bad_seq", details: { last_seq: 4 } });
    for (const socket of [mine, hers]) socket.cut();
    const later = await openSocket(ada, threadId);
    expect((await later.first("welcome")).reads).toEqual([{ user_id: org.userId, seq: 3 }]);
    later.cut();
  });
});
