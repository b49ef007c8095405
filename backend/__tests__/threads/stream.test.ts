import { beforeAll, describe, expect, it } from "vitest";
import { entryCursor } from "../../lib/cursor";
import {
  type Context,
  newAgent,
  newOrganization,
  newThread,
  ok,
  type Problem,
  type TestOrganization,
} from "../harness/organization";
import { ofType, openStream, type Received, turnsEnded } from "../harness/stream";

const caughtUp = (received: Received[]) => ofType(received, "caught_up").length > 0;

describe("a thread's stream", () => {
  let org: TestOrganization;
  let ada: string;
  let bob: string;
  beforeAll(async () => {
    org = await newOrganization();
    [ada, bob] = await Promise.all([newAgent(org, "Ada"), newAgent(org, "Bob")]);
  });
  const say = (id: string, content: string) => ok(org.call("POST", `/threads/${id}/messages`, { content }));

  it("is server-sent events that no proxy may hold back (SSE-1)", async () => {
    const id = await newThread(org);
    const controller = new AbortController();
    const response = await fetch(`${org.url}/threads/${id}/stream`, {
      headers: { authorization: `Bearer ${org.apiKey}` },
      signal: controller.signal,
    });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(response.headers.get("cache-control")).toBe("no-cache, no-transform");
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    const first = await response.body?.getReader().read();
    expect(new TextDecoder().decode(first?.value)).toMatch(/^retry: \d+\n\n/);
    controller.abort();
  });

  it("shows the stored messages first, then caught_up, then what happens (SSE-1)", async () => {
    const id = await newThread(org);
    await say(id, "before anybody listened");
    const stream = await openStream(org, id);
    await stream.until(caughtUp);
    expect(stream.received.map(({ event }) => (event.type === "message" ? event.message.content : event.type))).toEqual(
      ["Owner joined the conversation.", "before anybody listened", "caught_up"],
    );
    await say(id, "while they listen");
    await stream.until((received) => received.length === 4);
    expect(stream.received[3]?.event).toMatchObject({
      type: "message",
      thread_id: id,
      message: { content: "while they listen", seq: 4 },
    });
    await stream.close();
  });

  it("streams two agents' answers as they come; the chunks join to the stored messages (SSE-1, AGT-1)", async () => {
    const id = await newThread(org, [ada, bob]);
    const stream = await openStream(org, id);
    await stream.until(caughtUp);
    await say(id, "What can you tell me about tea?");
    const received = await stream.until(turnsEnded(2));
    await stream.close();

    for (const agent of [ada, bob]) {
      const started = ofType(received, "turn_started").filter((e) => e.agent_id === agent);
      const chunks = ofType(received, "ai_chunk").filter((e) => e.agent_id === agent);
      const completed = ofType(received, "turn_completed").filter((e) => e.agent_id === agent);
      const messages = ofType(received, "message").filter((e) => e.message.sender_id === agent);
      expect([started.length, completed.length, messages.length]).toEqual([1, 1, 1]);
      expect(chunks.length).toBeGreaterThan(1);
      expect(chunks.map((chunk) => chunk.content).join("")).toBe(messages[0]?.message.content);
      let offset = 0;
      for (const chunk of chunks) {
        expect(chunk.offset).toBe(offset);
        offset += chunk.content.length;
      }
      expect(messages[0]?.message).toMatchObject({
        sender_type: "agent",
        status: "complete",
        turn_id: started[0]?.turn_id,
      });
      expect(completed[0]).toMatchObject({ turn_id: started[0]?.turn_id, message_id: messages[0]?.message.id });
      expect(completed[0]?.usage?.total_tokens).toBeGreaterThan(0);
    }
  });

  it("gives every event an id, and goes on after any of them with exactly the entries that followed (SSE-1)", async () => {
    const id = await newThread(org, [ada]);
    const stream = await openStream(org, id);
    await stream.until(caughtUp);
    await say(id, "count with me");
    const all = await stream.until(turnsEnded(1));
    await stream.close();
    const lasting = all.filter(({ event }) => !["ai_chunk", "caught_up"].includes(event.type));
    for (const [index, { id: cursor }] of lasting.entries()) {
      expect(cursor).toMatch(/^\d+/);
      const again = await openStream(org, id, cursor);
      await again.until(caughtUp);
      await again.close();
      const rest = again.received.filter(({ event }) => !["caught_up", "ai_chunk", "participant"].includes(event.type));
      expect(rest.map(({ event }) => event)).toEqual(lasting.slice(index + 1).map(({ event }) => event));
    }
  });

  it("keeps what agents say whole for a reader who comes in the middle of an answer (SSE-1)", async () => {
    const slow = await newAgent(org, "Slow", "openai-proxy/dev-n40-r20");
    const id = await newThread(org, [slow]);
    const early = await openStream(org, id);
    await say(id, "go");
    await early.until((received) => ofType(received, "ai_chunk").length > 5);
    const late = await openStream(org, id);
    const cut = early.received.at(-1)?.id;
    await early.close();
    const back = await openStream(org, id, cut);
    const [seen, resumed] = await Promise.all([late.until(turnsEnded(1)), back.until(turnsEnded(1))]);
    const text = ofType(seen, "message").at(-1)?.message.content ?? "";
    expect(text.length).toBeGreaterThan(20);
    const joined = (received: Received[]) =>
      ofType(received, "ai_chunk")
        .map((chunk) => chunk.content)
        .join("");
    expect(joined(seen)).toBe(text);
    expect(joined(early.received) + joined(resumed)).toBe(text);
    await Promise.all([late.close(), back.close()]);
  });

  it("refuses cursors that are none of the thread's, with context, and never begins anew instead (THR-5)", async () => {
    const id = await newThread(org);
    for (const cursor of ["rubbish", "-1", "2", "1.2.3", "3.turn_x:1", "999999", "2~0000000", ""]) {
      const { status, body } = await org.call<Problem>("GET", `/threads/${id}/stream?cursor=${cursor}`);
      expect([cursor, status]).toEqual([cursor, 400]);
      expect(body.details).toMatchObject({ reason: "bad_cursor", context: { thread: { id } } });
    }
  });

  it("refuses the cursors of another thread, in the stream and in lists, wherever they come from (SSE-4, THR-5)", async () => {
    const [id, other] = [await newThread(org), await newThread(org)];
    const { context } = await ok(
      org.call<{ context: Context }>("POST", `/threads/${other}/messages`, { content: "there" }),
    );
    const stream = await openStream(org, other);
    await stream.until(caughtUp);
    await stream.close();
    const { next_cursor } = await ok(org.call<{ next_cursor: string }>("GET", `/threads/${other}/messages?limit=1`));
    for (const cursor of [context.cursor, stream.received[0]?.id, next_cursor, entryCursor(id, 3)]) {
      for (const path of ["stream", "messages"]) {
        const { status, body } = await org.call<Problem>("GET", `/threads/${id}/${path}?cursor=${cursor}`);
        expect([path, cursor, status]).toEqual([path, cursor, 400]);
        expect(body.details).toMatchObject({ reason: "bad_cursor", context: { thread: { id } } });
      }
    }
    // And its own are taken by both, whichever gave them out.
    const own = await ok(org.call<{ context: Context }>("POST", `/threads/${id}/messages`, { content: "here" }));
    await ok(org.call("GET", `/threads/${id}/messages?cursor=${own.context.cursor}`));
    const resumed = await openStream(org, id, own.context.cursor);
    await resumed.until(caughtUp);
    await resumed.close();
    expect(resumed.received).toHaveLength(1);
  });

  it("answers for a thread that is not there, or not yours, as every endpoint does (SEC-1)", async () => {
    const other = await newOrganization();
    const foreign = await newThread(other);
    const [missing, theirs] = await Promise.all([
      org.call("GET", "/threads/thread_01h455vb4pex5vsknk084sn02q/stream"),
      org.call("GET", `/threads/${foreign}/stream`),
    ]);
    expect(theirs).toEqual(missing);
    expect(missing).toMatchObject({ status: 404, body: { details: { reason: "thread_not_found", context: null } } });
  });
});
