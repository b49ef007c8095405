import { beforeAll, describe, expect, it } from "vitest";
import { entryCursor } from "../../lib/cursor";
import {
  type Context,
  newOrganization,
  newThread,
  ok,
  type Problem,
  type TestOrganization,
} from "../harness/organization";

interface ThreadAnswer {
  thread: { id: string; title: string | null; type: string; state: string; organization_id: string; last_seq: number };
  context: Context;
}

describe("threads", () => {
  let org: TestOrganization;
  beforeAll(async () => {
    org = await newOrganization();
  });

  it("begins a thread in which the caller takes part, and says so in its log (THR-1, THR-2)", async () => {
    const { thread, context } = await ok(
      org.call<ThreadAnswer>("POST", "/threads", { title: "Launch", type: "support" }),
    );
    expect(thread).toMatchObject({ title: "Launch", type: "support", state: "active", organization_id: org.orgId });
    expect(thread.id).toMatch(/^thread_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
    expect(context.participants).toMatchObject([{ kind: "user", user_id: org.userId, name: "Owner" }]);
    // The participant's entry and the system message.
    expect(context.last_seq).toBe(2);
    expect(thread.last_seq).toBe(2);
  });

  it("reads a thread with its conversation's context (THR-1, THR-4)", async () => {
    const id = await newThread(org);
    const { thread, context } = await ok(org.call<ThreadAnswer>("GET", `/threads/${id}`));
    expect(thread.id).toBe(id);
    expect(context).toMatchObject({
      thread: { id, title: "A test", type: "conversation", state: "active" },
      running_turns: [],
      last_seq: 2,
      cursor: entryCursor(id, 2),
      stream_url: `/threads/${id}/stream`,
      usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
    });
  });

  it("lists threads newest first, page by page, without gaps or repeats (THR-1)", async () => {
    const own = await newOrganization();
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.unshift(await newThread(own));
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: { threads: { id: string }[]; next_cursor: string | null } = await ok(
        own.call("GET", `/threads?limit=2${cursor === null ? "" : `&cursor=${cursor}`}`),
      );
      expect(page.threads.length).toBeLessThanOrEqual(2);
      seen.push(...page.threads.map(({ id }) => id));
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect(seen).toEqual(made);
  });

  it("refuses a cursor that is none of the list's", async () => {
    const { status, body } = await org.call<Problem>("GET", "/threads?cursor=rubbish");
    expect(status).toBe(400);
    expect(body.details.reason).toBe("bad_cursor");
  });

  it("changes a title, archives, and brings back (THR-1)", async () => {
    const id = await newThread(org);
    const renamed = await ok(org.call<ThreadAnswer>("PATCH", `/threads/${id}`, { title: "Renamed" }));
    expect(renamed.thread).toMatchObject({ title: "Renamed", state: "active" });
    const archived = await ok(org.call<{ outcome: string; context: Context }>("DELETE", `/threads/${id}`));
    expect(archived.outcome).toBe("archived");
    expect(archived.context.thread.state).toBe("archived");
    const list = await ok(org.call<{ threads: { id: string }[] }>("GET", "/threads?state=archived"));
    expect(list.threads.map((thread) => thread.id)).toContain(id);
    const back = await ok(org.call<ThreadAnswer>("PATCH", `/threads/${id}`, { state: "active" }));
    expect(back.thread).toMatchObject({ title: "Renamed", state: "active" });
  });

  it("erases a thread for good when asked to purge it (THR-1)", async () => {
    const id = await newThread(org);
    await ok(org.call("POST", `/threads/${id}/messages`, { content: "to be forgotten" }));
    const purged = await ok(org.call<{ outcome: string; context: null }>("DELETE", `/threads/${id}?purge=true`));
    expect(purged).toEqual({ id, outcome: "purged", context: null });
    expect((await org.call("GET", `/threads/${id}`)).status).toBe(404);
    expect((await org.call("GET", `/threads/${id}/messages`)).status).toBe(404);
  });

  it("answers the same for a thread that is not there, is another organization's, or has no id's form (THR-5, SEC-1)", async () => {
    const other = await newOrganization();
    const foreign = await newThread(other);
    const answers = await Promise.all(
      [foreign, "thread_01h455vb4pex5vsknk084sn02q", "nonsense"].map((id) => org.call("GET", `/threads/${id}`)),
    );
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]).toMatchObject({
      status: 404,
      body: { code: "not_found", details: { reason: "thread_not_found", context: null } },
    });
  });

  it("refuses unknown people and agents by name, and makes no thread (THR-3)", async () => {
    const own = await newOrganization();
    const { status, body } = await own.call<Problem>("POST", "/threads", {
      people: ["user_01h455vb4pex5vsknk084sn02q"],
    });
    expect(status).toBe(400);
    expect(body.details).toMatchObject({ reason: "unknown_person", unknown: ["user_01h455vb4pex5vsknk084sn02q"] });
    expect((await ok(own.call<{ threads: unknown[] }>("GET", "/threads"))).threads).toEqual([]);
  });
});
