import { beforeAll, describe, expect, inject, it } from "vitest";
import { entryCursor } from "../../lib/cursor";
import { adminQuery } from "../harness/database";
import {
  type Context,
  newOrganization,
  newPerson,
  newThread,
  ok,
  type Problem,
  type TestOrganization,
} from "../harness/organization";

interface Posted {
  success: boolean;
  message: {
    id: string;
    thread_id: string;
    seq: number;
    sender_type: string;
    sender_id: string;
    sender_name: string;
    content: string;
    created_at: string;
  };
  turns: { id: string; agent_id: string; state: string }[];
  context: Context;
}
interface Page {
  messages: Posted["message"][];
  next_cursor: string | null;
  context: Context;
}

describe("messages", () => {
  let org: TestOrganization;
  beforeAll(async () => {
    org = await newOrganization();
  });
  const post = (id: string, body: object, headers?: Record<string, string>) =>
    org.call<Posted>("POST", `/threads/${id}/messages`, body, headers);

  it("stores a message and answers at once with it and the conversation's context (THR-4)", async () => {
    const id = await newThread(org);
    const { success, message, turns, context } = await ok(post(id, { content: "Hello, thread" }));
    expect(success).toBe(true);
    expect(message).toMatchObject({
      thread_id: id,
      seq: 3,
      sender_type: "user",
      sender_id: org.userId,
      sender_name: "Owner",
      content: "Hello, thread",
    });
    expect(Number.isNaN(Date.parse(message.created_at))).toBe(false);
    expect(turns).toEqual([]);
    expect(context).toMatchObject({ thread: { id }, last_seq: 3, cursor: entryCursor(id, 3) });
  });

  it("keeps order without gaps when many speak at once (THR-3)", async () => {
    const id = await newThread(org);
    const posted = await Promise.all(Array.from({ length: 25 }, (_, i) => ok(post(id, { content: `message ${i}` }))));
    const seqs = posted.map(({ message }) => message.seq).sort((a, b) => a - b);
    expect(seqs).toEqual(Array.from({ length: 25 }, (_, i) => i + 3));
    const { messages, context } = await ok(org.call<Page>("GET", `/threads/${id}/messages?limit=100`));
    expect(messages.slice(1).map(({ seq }) => seq)).toEqual(seqs);
    expect(new Set(messages.map(({ content }) => content)).size).toBe(26);
    expect(context.last_seq).toBe(27);
    const log = await adminQuery<{ seq: string }>(
      inject("graphyn").adminUrl,
      "select seq from thread_log where thread_id = $1 order by seq",
      [id],
    );
    expect(log.map(({ seq }) => Number(seq))).toEqual(Array.from({ length: 27 }, (_, i) => i + 1));
  });

  it("pages through messages in both directions by cursor (THR-1)", async () => {
    const id = await newThread(org);
    for (const content of ["one", "two", "three", "four"]) await ok(post(id, { content }));
    const read = async (order: string) => {
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Page = await ok(
          org.call(
            "GET",
            `/threads/${id}/messages?limit=2&order=${order}${cursor === null ? "" : `&cursor=${cursor}`}`,
          ),
        );
        seen.push(...page.messages.map(({ content }) => content));
        cursor = page.next_cursor;
      } while (cursor !== null);
      return seen;
    };
    const all = ["Owner joined the conversation.", "one", "two", "three", "four"];
    expect(await read("asc")).toEqual(all);
    expect(await read("desc")).toEqual(all.toReversed());
  });

  it("answers a retry with the same Idempotency-Key from the first one and stores nothing twice (THR-3)", async () => {
    const id = await newThread(org);
    const key = { "idempotency-key": "once-only" };
    const [first, second] = await Promise.all([post(id, { content: "once" }, key), post(id, { content: "once" }, key)]);
    const third = await post(id, { content: "once" }, key);
    expect(second).toEqual(first);
    expect(third).toEqual(first);
    expect(
      (await ok(org.call<Page>("GET", `/threads/${id}/messages`))).messages.filter((m) => m.content === "once"),
    ).toHaveLength(1);
  });

  it("refuses an Idempotency-Key that belongs to another request, with context (THR-5)", async () => {
    const id = await newThread(org);
    const key = { "idempotency-key": "reused" };
    await ok(post(id, { content: "first" }, key));
    const { status, body } = await org.call<Problem>("POST", `/threads/${id}/messages`, { content: "second" }, key);
    expect(status).toBe(409);
    expect(body.details).toMatchObject({ reason: "idempotency_key_reused", context: { thread: { id }, last_seq: 3 } });
  });

  it("lets a program speak for a person of the thread, and nobody else (AGT-1)", async () => {
    const ana = await newPerson(org, "Ana");
    const id = await newThread(org);
    const refused = await org.call<Problem>("POST", `/threads/${id}/messages`, { content: "hi", sender_id: ana });
    expect(refused.status).toBe(403);
    expect(refused.body.details).toMatchObject({ reason: "not_a_participant", context: { thread: { id } } });
    await ok(org.call("POST", `/threads/${id}/participants`, { people: [ana] }));
    const { message } = await ok(post(id, { content: "hi", sender_id: ana }));
    expect(message).toMatchObject({ sender_type: "user", sender_id: ana, sender_name: "Ana" });
  });

  it("takes no message in an archived thread and says how to go on (THR-5)", async () => {
    const id = await newThread(org);
    await ok(org.call("DELETE", `/threads/${id}`));
    const { status, body } = await org.call<Problem>("POST", `/threads/${id}/messages`, { content: "late" });
    expect(status).toBe(400);
    expect(body).toMatchObject({
      code: "failed_precondition",
      details: { reason: "thread_archived", context: { thread: { id, state: "archived" }, last_seq: 2 } },
    });
    expect(body.details.hint).toContain("PATCH");
  });

  it("refuses a mention of an agent that does not take part (THR-5)", async () => {
    const id = await newThread(org);
    const { status, body } = await org.call<Problem>("POST", `/threads/${id}/messages`, {
      content: "you there?",
      mentions: ["agent_01h455vb4pex5vsknk084sn02q"],
    });
    expect(status).toBe(400);
    expect(body.details).toMatchObject({ reason: "unknown_mention", context: { last_seq: 2 } });
  });

  it("refuses a message without text, or with too much of it, with context (THR-5)", async () => {
    const id = await newThread(org);
    for (const content of ["", "x".repeat(100_001)]) {
      const { status, body } = await org.call<Problem>("POST", `/threads/${id}/messages`, { content });
      expect(status).toBe(400);
      expect(body.details).toMatchObject({ reason: "bad_content", context: { thread: { id }, last_seq: 2 } });
    }
  });

  it("refuses characters that cannot be stored, with the conversation (THR-5)", async () => {
    const org = await newOrganization();
    const id = await newThread(org);
    for (const content of ["a\0b", "\0"]) {
      const { status, body } = await org.call<Problem>("POST", `/threads/${id}/messages`, { content });
      expect([status, body.details]).toMatchObject([400, { reason: "bad_text", context: { thread: { id } } }]);
    }
    expect((await org.call<Problem>("POST", "/people", { name: "a\0b" })).body.details.reason).toBe("bad_text");
    expect((await org.call<Problem>("GET", "/search?q=a%00b")).body.details.reason).toBe("bad_text");
    expect((await org.call<Problem>("GET", `/threads/${id}/messages?cursor=%00`)).status).toBe(400);
  });

  it("repeats no word of the caller in an error's message, which is logged (THR-5)", async () => {
    const org = await newOrganization();
    const id = await newThread(org);
    const planted = "planted-in-an-id";
    for (const [path, body] of [
      [`/threads/${id}/messages`, { content: "x", mentions: [planted] }],
      [`/threads/${id}/participants`, { people: [planted] }],
      [`/threads/${id}/participants`, { agents: [planted] }],
    ] as const) {
      const answer = await org.call<Problem>("POST", path, body);
      expect(answer.body.details).toMatchObject({ unknown: [planted] });
      expect(answer.body.message).not.toContain(planted);
    }
  });

  it("forgets a few keys older than a day with each new one, and only those (THR-3)", async () => {
    const id = await newThread(org);
    const { adminUrl } = inject("graphyn");
    await adminQuery(
      adminUrl,
      `insert into idempotency_keys (org_id, caller, key, request_hash, created_at)
       select $1, 'someone', 'old-' || n, ''::bytea, now() - interval '25 hours' from generate_series(1, 15) n
       union all select $1, 'someone', 'young', ''::bytea, now() - interval '23 hours'`,
      [org.orgId],
    );
    const left = () =>
      adminQuery<{ key: string }>(
        adminUrl,
        "select key from idempotency_keys where org_id = $1 and caller = 'someone' order by key",
        [org.orgId],
      );
    for (const expected of [6, 1]) {
      const headers = { "idempotency-key": `new-${expected}` };
      await ok(org.call("POST", `/threads/${id}/messages`, { content: "hello" }, headers));
      expect(await left()).toHaveLength(expected);
    }
    expect(await left()).toEqual([{ key: "young" }]);
  });
});
