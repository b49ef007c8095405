import { beforeAll, describe, expect, inject, it } from "vitest";
import { adminQuery } from "../harness/database";
import { newAgent, newOrganization, newPerson, newThread, ok, type TestOrganization } from "../harness/organization";
import { ofType, openStream } from "../harness/stream";
import { branchesOf, conversationOf, lastRequest } from "./branches";

describe("fork, split and merge", () => {
  let org: TestOrganization;
  let echo: string;
  let on: ReturnType<typeof branchesOf>;
  beforeAll(async () => {
    org = await newOrganization();
    echo = await newAgent(org, "Echo", "openai-proxy/dev-echo");
    on = branchesOf(org);
  });
  const asks = (thread: string) =>
    adminQuery<{ heard_seq: string }>(
      inject("graphyn").adminUrl,
      "select heard_seq from agent_conversations where thread_id = $1",
      [thread],
    );

  it("forks a thread at its end: settings, people, messages, and what the agent remembers, word for word (THR-7)", async () => {
    const id = await newThread(org, [echo], [await newPerson(org, "Ann")]);
    await org.call("PATCH", `/threads/${id}`, {
      turn_policy: "all",
      exchange_limits: { hops: 3, turns: 7, tokens: 9000 },
    });
    const mark = id.slice(-6);
    for (const word of ["apple", "pear"]) {
      await on.say(id, `${word} ${mark}`, { mentions: [echo] });
      await on.quiet(id);
    }
    const source = await on.messages(id);
    const { thread, context, parent_context } = await on.fork(id, { title: "Another way" });
    expect(thread).toMatchObject({
      title: "Another way",
      parent_id: id,
      parent_seq: parent_context.last_seq,
      branch: 1,
    });
    expect(context.thread).toMatchObject({ exchange_limits: { hops: 3, turns: 7, tokens: 9000 } });
    expect(context.participants.map((p) => [p.name, p.kind])).toEqual(
      parent_context.participants.map((p) => [p.name, p.kind]),
    );
    const copied = await on.messages(thread.id);
    expect(copied.map((m) => [m.sender_name, m.content, m.created_at, m.turn_id])).toEqual(
      source.map((m) => [m.sender_name, m.content, m.created_at, null]),
    );
    expect(copied.map((m) => m.origin)).toEqual(source.map((m) => ({ thread_id: id, message_id: m.id, seq: m.seq })));
    expect(copied.map((m) => m.seq)).toEqual(source.map((_, index) => index + 2));

    await on.say(thread.id, `plum ${mark}`);
    await on.quiet(thread.id);
    const there = (await lastRequest(`plum ${mark}`)).messages.filter((m) => m.role !== "system");
    await on.say(id, `fig ${mark}`);
    await on.quiet(id);
    const here = (await lastRequest(`fig ${mark}`)).messages.filter((m) => m.role !== "system");
    // The same turns in the same words as the thread it comes from, not a transcript of them; and neither hears of the other's last message.
    expect(there.slice(0, -1)).toEqual(here.slice(0, -1));
    expect(there.map((m) => m.role)).toEqual(["user", "assistant", "user", "assistant", "user"]);
    expect(JSON.stringify(here)).not.toContain("plum");
  });

  it("forks at an earlier place: the agent is told what is said up to there (THR-7)", async () => {
    const id = await newThread(org, [echo]);
    const mark = id.slice(-6);
    await on.say(id, `red ${mark}`);
    await on.quiet(id);
    const answer = (await on.messages(id)).at(-1);
    await on.say(id, `green ${mark}`);
    await on.quiet(id);
    const { thread } = await on.fork(id, { at_seq: answer?.seq });
    expect(await on.said(thread.id)).toEqual([`red ${mark}`, `red ${mark}`]);
    await on.say(thread.id, `blue ${mark}`);
    await on.quiet(thread.id);
    const told = conversationOf(await lastRequest(`blue ${mark}`));
    expect(told).toContain(`role=\\"you\\">red ${mark}`);
    expect(told).not.toContain("green");
    expect(await on.said(id)).toHaveLength(4);
  });

  it("tells the agent of a fork the conversation when it was answering meanwhile (THR-7)", async () => {
    const slow = await newAgent(org, "Slow", "openai-proxy/dev-n200-r20");
    const id = await newThread(org, [slow]);
    const mark = id.slice(-6);
    const stream = await openStream(org, id);
    await on.say(id, `count ${mark}`);
    await stream.until((received) => ofType(received, "ai_chunk").length > 0);
    const { thread, parent_context } = await on.fork(id);
    await stream.close();
    expect(parent_context.running_turns).toHaveLength(1);
    await on.say(thread.id, `!say here ${mark}`);
    await on.quiet(thread.id);
    expect(conversationOf(await lastRequest(`here ${mark}`))).toContain(`count ${mark}`);
    // Its source was not disturbed.
    expect(
      (await ok(org.call<{ context: { running_turns: unknown[] } }>("GET", `/threads/${id}`))).context.running_turns,
    ).toHaveLength(1);
    await on.rewind(id, 0);
  });

  it("splits a thread: the tail goes on elsewhere, here the conversation ends before it (THR-7)", async () => {
    const id = await newThread(org, [echo]);
    const mark = id.slice(-6);
    await on.say(id, `topic one ${mark}`);
    await on.quiet(id);
    const at = (await on.messages(id)).at(-1)?.seq ?? 0;
    await on.say(id, `topic two ${mark}`);
    await on.quiet(id);
    const stream = await openStream(org, id);
    await stream.until((received) => ofType(received, "caught_up").length > 0);
    const { thread, parent_context } = await on.split(id, at, { title: "Topic two" });
    const seen = await stream.until((received) => ofType(received, "thread_linked").length > 0);
    await stream.close();
    expect(ofType(seen, "thread_linked")).toMatchObject([{ relation: "split_to", related_thread_id: thread.id }]);
    expect(ofType(seen, "branch_switched")).toMatchObject([{ action: "split", branch: 2 }]);
    expect(parent_context.thread).toMatchObject({ branch: 2 });
    expect(await on.said(thread.id)).toEqual([`topic two ${mark}`, `topic two ${mark}`]);
    expect(await on.said(id)).toHaveLength(2);
    expect(await on.said(id, "&branch=1")).toHaveLength(4);
    await on.say(thread.id, `more ${mark}`);
    await on.say(id, `less ${mark}`);
    await Promise.all([on.quiet(thread.id), on.quiet(id)]);
    const there = conversationOf(await lastRequest(`more ${mark}`));
    expect(there).toContain("topic two");
    expect(there).not.toContain("topic one");
    const here = conversationOf(await lastRequest(`less ${mark}`));
    expect(here).toContain("topic one");
    expect(here).not.toContain("topic two");
  });

  it("merges a thread: its messages follow with their origin, its people come along, its agents hear of both (THR-7)", async () => {
    const [ann, ben] = await Promise.all([newPerson(org, "Ann"), newPerson(org, "Ben")]);
    const id = await newThread(org, [echo], [ann]);
    const other = await newThread(org, [], [ann, ben]);
    const mark = id.slice(-6);
    await on.say(id, `first here ${mark}`);
    await on.quiet(id);
    await on.say(other, `said there ${mark}`, { sender_id: ben });
    await org.call("POST", `/threads/${other}/rewind`, { to_seq: (await on.messages(other)).at(-1)?.seq ?? 0 });
    const stream = await openStream(org, id);
    await stream.until((received) => ofType(received, "caught_up").length > 0);

    const merged = await on.merge(id, other);
    expect(merged.from_context.thread.state).toBe("archived");
    expect(merged.context.participants.map((p) => p.name).sort()).toEqual(["Ann", "Ben", "Echo", "Owner"]);
    const seen = await stream.until((received) =>
      received.some(({ event }) => event.type === "message" && event.message.seq === merged.last_seq),
    );
    await stream.close();
    expect(
      seen.filter(
        ({ event }) => event.type !== "caught_up" && !("message" in event && event.message.seq < merged.first_seq),
      ),
    ).toHaveLength(merged.last_seq - merged.first_seq + 1);
    expect(ofType(seen, "thread_linked")).toMatchObject([{ relation: "merged_from", related_thread_id: other }]);
    const brought = (await on.messages(id)).find((m) => m.content === `said there ${mark}`);
    expect(brought).toMatchObject({ sender_id: ben, sender_name: "Ben", origin: { thread_id: other } });
    await on.say(id, `and now ${mark}`);
    await on.quiet(id);
    const told = conversationOf(await lastRequest(`and now ${mark}`));
    expect(told).toContain(`from=\\"Ben\\" role=\\"person\\">said there ${mark}`);
    expect(told).toContain(`first here ${mark}`);
    const refused = await org.call<{ details: { reason: string } }>("POST", `/threads/${id}/merge`, {
      from_thread_id: other,
    });
    expect(refused.body.details.reason).toBe("thread_archived");
  });

  it("merges two threads into each other at once without waiting for ever: one wins (THR-3, THR-7)", async () => {
    const pairs = await Promise.all(
      [1, 2, 3, 4].map(async () => [await newThread(org), await newThread(org)] as const),
    );
    const merge = (id: string, from: string) => org.call("POST", `/threads/${id}/merge`, { from_thread_id: from });
    const outcomes = await Promise.all(
      pairs.map(async ([a, b]) => (await Promise.all([merge(a, b), merge(b, a)])).map(({ status }) => status).sort()),
    );
    expect(outcomes).toEqual(pairs.map(() => [200, 400]));
  });

  it("copies every setting of a thread into a fork, also those that come later (THR-7)", async () => {
    const columns = await adminQuery<{ name: string }>(
      inject("graphyn").adminUrl,
      `select column_name as name from information_schema.columns where table_schema = 'public' and table_name = 'threads' order by 1`,
    );
    const own = [
      "org_id",
      "id",
      "state",
      "last_seq",
      "prompt_tokens",
      "completion_tokens",
      "created_by",
      "created_at",
      "updated_at",
      "branch",
      "parent_id",
      "parent_seq",
      "rotation_at",
    ];
    const copied = [
      "title",
      "type",
      "turn_policy",
      "coordinator_id",
      "when_busy",
      "exchange_hops_max",
      "exchange_turns_max",
      "exchange_tokens_max",
    ];
    // A new column: is it a setting? Then new-thread-from.ts copies it.
    expect(columns.map(({ name }) => name)).toEqual([...own, ...copied].sort());
  });

  it("copies no more than one call may, and nothing when it is refused (THR-7)", async () => {
    const id = await newThread(org);
    await adminQuery(
      inject("graphyn").adminUrl,
      `with head as (update threads set last_seq = last_seq + 5001 where id = $1 returning org_id, id, last_seq - 5001 as base),
       entry as (insert into thread_log (org_id, thread_id, seq, kind) select org_id, id, base + n, 'message' from head, generate_series(1, 5001) n)
       insert into messages (org_id, thread_id, seq, id, sender_type, sender_id, sender_name, content)
       select org_id, id, base + n, 'msg_bulk_' || right(id, 6) || n, 'user', 'user_x', 'Bulk', 'line ' || n from head, generate_series(1, 5001) n`,
      [id],
    );
    const whole = await org.call<{ details: { reason: string; messages_max: number } }>(
      "POST",
      `/threads/${id}/fork`,
      {},
    );
    expect([whole.status, whole.body.details.reason, whole.body.details.messages_max]).toEqual([
      429,
      "too_much_to_copy",
      5000,
    ]);
    const { thread, context } = await on.fork(id, { at_seq: 5000 });
    expect(context.last_seq).toBeGreaterThan(4990);
    const [{ n, last } = { n: 0, last: 0 }] = await adminQuery<{ n: number; last: number }>(
      inject("graphyn").adminUrl,
      "select count(*)::int as n, max(seq)::int as last from thread_log where thread_id = $1",
      [thread.id],
    );
    expect([n, last]).toEqual([context.last_seq, context.last_seq]);
    expect(await asks(id)).toEqual([]);
  });

  it("keeps what a fork has when its source is erased, and forgets the link (THR-7)", async () => {
    const id = await newThread(org);
    await on.say(id, "kept in the fork");
    const { thread } = await on.fork(id);
    await ok(org.call("DELETE", `/threads/${id}?purge=true`));
    expect(await on.said(thread.id)).toEqual(["kept in the fork"]);
    const { thread: now } = await ok(
      org.call<{ thread: { parent_id: string | null } }>("GET", `/threads/${thread.id}`),
    );
    expect(now.parent_id).toBeNull();
  });

  it("finds copied messages by meaning, with the embeddings of their origins (THR-7, DAT-2)", async () => {
    const id = await newThread(org);
    await on.say(id, "the harbour was covered with snow this morning");
    const { thread } = await on.fork(id);
    const until = performance.now() + 45_000;
    for (;;) {
      const { results } = await ok(
        org.call<{ results: { message: { origin: unknown }; found_by: string[] }[] }>(
          "GET",
          `/search?q=snow%20on%20the%20harbour&thread_id=${thread.id}`,
        ),
      );
      if (results[0]?.found_by.includes("meaning"))
        return expect(results[0].message.origin).toMatchObject({ thread_id: id });
      if (performance.now() > until) throw new Error(`not found by meaning: ${JSON.stringify(results)}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  });
});
