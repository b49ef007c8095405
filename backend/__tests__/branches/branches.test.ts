import { beforeAll, describe, expect, it } from "vitest";
import {
  newAgent,
  newOrganization,
  newPerson,
  newThread,
  type Problem,
  type TestOrganization,
} from "../harness/organization";
import { ofType, openStream, turnsEnded } from "../harness/stream";
import { branchesOf, conversationOf, lastRequest } from "./branches";

describe("branches of a thread", () => {
  let org: TestOrganization;
  let echo: string;
  let on: ReturnType<typeof branchesOf>;
  beforeAll(async () => {
    org = await newOrganization();
    echo = await newAgent(org, "Echo", "openai-proxy/dev-echo");
    on = branchesOf(org);
  });

  it("edits a message: the agent answers the new one, both ways stay readable, and one can go back (THR-7)", async () => {
    const id = await newThread(org, [echo]);
    const mark = id.slice(-6);
    await on.say(id, `one ${mark}`);
    await on.quiet(id);
    const { message } = await on.say(id, `two wrong ${mark}`);
    await on.quiet(id);
    const edited = await on.edit(id, message.id, `two right ${mark}`);
    expect(edited).toMatchObject({ left_branch: 1, message: { branch: 2, content: `two right ${mark}` } });
    expect(edited.turns.map((turn) => turn.agent_id)).toEqual([echo]);
    await on.quiet(id);

    const right = [`one ${mark}`, `one ${mark}`, `two right ${mark}`];
    const wrong = [`one ${mark}`, `one ${mark}`, `two wrong ${mark}`, `two wrong ${mark}`];
    const answered = await on.said(id);
    expect(answered.slice(0, 3)).toEqual(right);
    expect(answered).toHaveLength(4);
    expect(answered[3]).toContain(`two right ${mark}`);
    expect(await on.said(id, "&branch=1")).toEqual(wrong);
    const request = conversationOf(await lastRequest(`two right ${mark}`));
    expect(request).toContain(`one ${mark}`);
    expect(request).not.toContain(`two wrong ${mark}`);

    const { context } = await on.restore(id, 1);
    expect(context.thread).toMatchObject({ branch: 1 });
    expect(await on.said(id)).toEqual(wrong);
    await on.say(id, `three ${mark}`);
    await on.quiet(id);
    const remembered = conversationOf(await lastRequest(`three ${mark}`));
    expect(remembered).toContain(`two wrong ${mark}`);
    expect(remembered).not.toContain(`two right ${mark}`);
    expect(await on.said(id, "&branch=2")).toEqual(answered);
    expect(
      (await on.branches(id)).map(({ branch, is_current, parent_branch, action }) => [
        branch,
        is_current,
        parent_branch,
        action,
      ]),
    ).toEqual([
      [1, true, null, null],
      [2, false, 1, "edit"],
    ]);
    expect(await on.said(id, "&include=rewound")).toHaveLength(8);
  });

  it("regenerates an answer: the agent is asked the same again and has not heard its old answer (THR-7)", async () => {
    const other = await newAgent(org, "Other", "openai-proxy/dev-n20-d300");
    const id = await newThread(org, [echo, other]);
    const mark = `tea-${id.slice(-6)}`;
    const { message } = await on.say(id, mark);
    await on.quiet(id);
    const before = await on.messages(id);
    const answer = before.find((m) => m.sender_id === echo);
    const kept = before.find((m) => m.sender_id === other);
    if (!answer || !kept) throw new Error("both answer");
    expect(answer.seq).toBeLessThan(kept.seq);

    const again = await on.regenerate(id, answer.id);
    expect(again.turns.map((turn) => turn.agent_id)).toEqual([echo]);
    await on.quiet(id);
    const now = (await on.messages(id)).filter((m) => m.sender_type !== "system");
    // The other's answer to the same message is no part of what was asked anew.
    expect(now.map((m) => [m.sender_id, m.branch])).toEqual([
      [message.sender_id, 1],
      [other, 1],
      [echo, 2],
    ]);
    expect(now.map((m) => m.id)).not.toContain(answer.id);
    expect((await on.messages(id, "&branch=1")).map((m) => m.id)).toEqual(before.map((m) => m.id));
    const asked = (await lastRequest(mark)).messages.filter((m) => m.role !== "system");
    expect(asked).toHaveLength(1);
    // Nothing that was said but the question.
    expect(asked[0]?.content?.match(/<message [^>]*>[^<]*/g)).toEqual([`<message from="Owner" role="person">${mark}`]);
  });

  it("asks all agents anew when the question is regenerated (THR-7)", async () => {
    const id = await newThread(org, [echo]);
    const { message } = await on.say(id, "once more");
    await on.quiet(id);
    const { turns } = await on.regenerate(id, message.id);
    await on.quiet(id);
    expect(turns.map((turn) => turn.agent_id)).toEqual([echo]);
    expect(await on.said(id)).toHaveLength(2);
  });

  it("rewinds in mid-answer: the agent stops, its last words stay in the branch they were said in (THR-7, SSE-6)", async () => {
    const slow = await newAgent(org, "Slow", "openai-proxy/dev-n200-r20");
    const id = await newThread(org, [slow]);
    const stream = await openStream(org, id);
    const first = await on.say(id, "nothing yet", { mentions: [] });
    await on.say(id, "count");
    await stream.until((received) => ofType(received, "ai_chunk").length > 3);
    const { branch, context } = await on.rewind(id, first.message.seq);
    expect(branch).toMatchObject({ branch: 2, is_current: true, action: "rewind", parent_branch: 1 });
    expect(context.thread).toMatchObject({ branch: 2 });
    const received = await stream.until(turnsEnded(1));
    await stream.close();

    const switched = ofType(received, "branch_switched");
    expect(switched).toMatchObject([{ action: "rewind", branch: 2, left_branch: 1, switched_by: org.userId }]);
    expect(ofType(received, "turn_cancelled")).toMatchObject([{ reason: "rewound", cancelled_by: org.userId }]);
    const last = ofType(received, "message").at(-1)?.message;
    expect(last).toMatchObject({ status: "cancelled", branch: 1 });
    expect(last?.content).toBe(
      ofType(received, "ai_chunk")
        .map((chunk) => chunk.content)
        .join(""),
    );
    expect(await on.said(id)).toEqual(["nothing yet"]);
    expect(await on.said(id, "&branch=1")).toEqual(["nothing yet", "count", last?.content]);

    // The agent goes on in the new branch and knows nothing of the old one.
    const mark = `fresh-${id.slice(-6)}`;
    await on.say(id, `!say yes ${mark}`);
    await on.quiet(id);
    const request = conversationOf(await lastRequest(mark));
    expect(request).toContain("nothing yet");
    expect(request).not.toContain("count");
  });

  it("edits while the agent answers: the old answer ends in its branch, the new one follows in its own (THR-7)", async () => {
    const slow = await newAgent(org, "Slow", "openai-proxy/dev-n200-r20");
    const id = await newThread(org, [slow]);
    const stream = await openStream(org, id);
    const { message } = await on.say(id, "count for me");
    await stream.until((received) => ofType(received, "ai_chunk").length > 3);
    const mark = `edited-${id.slice(-6)}`;
    await on.edit(id, message.id, `!say done ${mark}`);
    const received = await stream.until(turnsEnded(2));
    await stream.close();
    expect(await on.said(id)).toEqual([`!say done ${mark}`, `done ${mark}`]);
    const old = await on.said(id, "&branch=1");
    expect(old[0]).toBe("count for me");
    expect(old).toHaveLength(2);
    expect(conversationOf(await lastRequest(mark))).not.toContain("count for me");
    const seqs = ofType(received, "message").map((event) => event.message.seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  });

  it("shows a new reader the conversation as it is, and one that comes back every entry (THR-7, SSE-4)", async () => {
    const id = await newThread(org);
    const a = await on.say(id, "stays");
    await on.say(id, "goes");
    await on.rewind(id, a.message.seq);
    await on.say(id, "came instead");
    const fresh = await openStream(org, id);
    const shown = await fresh.until((received) => ofType(received, "caught_up").length > 0);
    await fresh.close();
    const words = (received: typeof shown) =>
      ofType(received, "message").flatMap(({ message }) => (message.sender_type === "user" ? [message.content] : []));
    expect(words(shown)).toEqual(["stays", "came instead"]);
    const back = await openStream(org, id, a.context.cursor);
    const resumed = await back.until((received) => ofType(received, "caught_up").length > 0);
    await back.close();
    expect(resumed.slice(0, 3).map(({ event }) => event.type)).toEqual(["message", "branch_switched", "message"]);
    expect(words(resumed)).toEqual(["goes", "came instead"]);
  });

  it("marks in a search what is no longer part of the conversation (THR-7, THR-1)", async () => {
    const id = await newThread(org);
    const word = `zanzibar${id.slice(-6)}`;
    const { message } = await on.say(id, `${word} goes`);
    await on.rewind(id, message.seq - 1);
    await on.say(id, `${word} stays`);
    const { body } = await org.call<{ results: { rewound: boolean; message: { content: string } }[] }>(
      "GET",
      `/search?q=${word}&thread_id=${id}`,
    );
    expect(body.results.map((r) => [r.message.content, r.rewound]).sort()).toEqual([
      [`${word} goes`, true],
      [`${word} stays`, false],
    ]);
  });

  it("repeats nothing for a repeated Idempotency-Key (THR-6, THR-7)", async () => {
    const id = await newThread(org, [echo]);
    const { message } = await on.say(id, "first words");
    await on.quiet(id);
    const headers = { "idempotency-key": `edit-${id}` };
    const path = `/threads/${id}/messages/${message.id}/edit`;
    const [one, two] = await Promise.all([1, 2].map(() => org.call("POST", path, { content: "other words" }, headers)));
    expect(one?.status).toBe(200);
    expect(two?.body).toEqual(one?.body);
    await on.quiet(id);
    expect(await on.branches(id)).toHaveLength(2);
    expect(await on.said(id)).toHaveLength(2);
    const other = await org.call<Problem>("POST", path, { content: "third words" }, headers);
    expect(other.body.details.reason).toBe("idempotency_key_reused");
  });

  it("refuses what makes no sense, with the conversation (THR-5, THR-7)", async () => {
    const person = await newPerson(org, "Ann");
    const id = await newThread(org, [echo], [person]);
    const { message } = await on.say(id, "a question");
    await on.quiet(id);
    const answer = (await on.messages(id)).find((m) => m.sender_id === echo);
    const system = (await on.messages(id))[0];
    const stranger = branchesOf(await newOrganization());
    const refused = async (path: string, body: object = {}) => {
      const got = await org.call<Problem>("POST", `/threads/${id}${path}`, body);
      expect(got.body.details.context?.thread.id ?? null).toBe(got.status === 404 ? null : id);
      return [got.status, got.body.details.reason];
    };
    expect(await refused("/rewind", { to_seq: 999 })).toEqual([400, "bad_seq"]);
    expect(await refused("/rewind", { to_seq: answer?.seq ?? 0 })).toEqual([400, "nothing_to_rewind"]);
    expect(await refused("/split", { at_seq: answer?.seq ?? 0 })).toEqual([400, "nothing_to_split"]);
    expect(await refused("/branches/1/restore")).toEqual([400, "branch_is_current"]);
    expect(await refused("/branches/7/restore")).toEqual([404, "branch_not_found"]);
    expect(await refused(`/messages/${answer?.id}/edit`, { content: "x" })).toEqual([400, "not_editable"]);
    expect(await refused(`/messages/${system?.id}/regenerate`)).toEqual([400, "not_answerable"]);
    expect(await refused("/messages/msg_01h455vb4pex5vsknk084sn02q/edit", { content: "x" })).toEqual([
      404,
      "message_not_found",
    ]);
    expect(await refused("/merge", { from_thread_id: id })).toEqual([400, "merge_with_itself"]);
    expect(await refused("/merge", { from_thread_id: "thread_01h455vb4pex5vsknk084sn02q" })).toEqual([
      404,
      "thread_not_found",
    ]);
    await on.rewind(id, message.seq - 1);
    expect(await refused(`/messages/${message.id}/edit`, { content: "x" })).toEqual([400, "message_not_in_branch"]);
    await expect(stranger.rewind(id, 1)).rejects.toThrow(/thread_not_found/);
    await org.call("PATCH", `/threads/${id}`, { state: "archived" });
    for (const [path, body] of [
      ["/rewind", { to_seq: 1 }],
      ["/fork", {}],
      ["/split", { at_seq: 1 }],
      ["/branches/1/restore", {}],
    ] as const)
      expect(await refused(path, body)).toEqual([400, "thread_archived"]);
  });
});
