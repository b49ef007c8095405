import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { ok, type Problem } from "../harness/organization";
import { ofType, type Received } from "../harness/stream";
import { type BehindGateway, behindGateway, START_MS_MAX, shown, stored, type TestThread } from "./behind-gateway";

let behind: BehindGateway;

beforeAll(async () => {
  behind = await behindGateway();
}, START_MS_MAX);

const LONG = "words that fill the window of a small model ".repeat(30).trim();
/** Tokens that an agent's instructions, its memory and one short message take, by the dev model's count, and some more. */
const WINDOW_TOKENS = 2_500;
/** Beside what a turn takes: no summary fits into it. */
const ROOM_TOKENS = 300;

/** A thread whose agent's model has a small window, as Letta is told (`limit`) or as the model enforces. */
async function small(model: string, limit: number | null): Promise<TestThread> {
  const { agent_id, letta_id } = await behind.agent("dev");
  const agent = await behind.letta.call<{ llm_config: object }>("GET", `/v1/agents/${letta_id}`);
  const llm_config = { ...agent.llm_config, model, ...(limit === null ? {} : { context_window: limit }) };
  await behind.letta.call("PATCH", `/v1/agents/${letta_id}`, { llm_config });
  return behind.threadOf([agent_id]);
}

/** The requests that a conversation's summaries took: Letta's own, which name no conversation. */
async function summaries(threadId: string) {
  return (await behind.asked(threadId)).filter(
    ({ body }) => !JSON.stringify(body.messages[0]).includes("CONVERSATION_ID"),
  );
}

async function accounted(): Promise<number> {
  const [row] = await adminQuery<{ calls: number }>(
    behind.stack.adminUrl,
    "select count(*)::int as calls from model_calls where org_id = $1 and purpose = 'letta' and completion_tokens > 0",
    [behind.org.orgId],
  );
  return row?.calls ?? 0;
}

async function expectOneText(threadId: string, received: Received[], text: string, times = 1) {
  expect([shown(received), stored(received)]).toEqual([text, text]);
  // Not the last: Letta gives its messages the second they were made in, and a compaction changes their order within it.
  const said = (await behind.inLetta(threadId)).filter(({ message_type }) => message_type === "assistant_message");
  expect(said.map(({ content }) => content).filter((content) => content === text)).toHaveLength(times);
}

describe("a conversation that grows too long", () => {
  it("is compacted by Letta after the answer; readers see nothing of it, and it is accounted to the organization (LET-6, OBS-1)", async () => {
    const { threadId, ask } = await small("dev", WINDOW_TOKENS);
    const before = await accounted();
    for (let i = 0; i < 6 && (await summaries(threadId)).length === 0; i++) {
      const received = await ask(`${threadId} ${LONG}\n!say answer ${i}`);
      expect(ofType(received, "agent_error")).toEqual([]);
      await expectOneText(threadId, received, `answer ${i}`);
    }
    expect((await summaries(threadId)).length).toBeGreaterThan(0);
    expect(await accounted()).toBeGreaterThan(before);
    const received = await ask(`once more ${threadId}\n!say goes on`);
    await expectOneText(threadId, received, "goes on");
    const last = (await behind.asked(`once more ${threadId}`)).at(-1);
    expect(JSON.stringify(last?.body).split(LONG).length - 1).toBeLessThan(3); // the summary stands for the rest
  });

  it("is compacted by Letta when the model refuses it, and then answered: the refusal is nobody's failure (LET-6, LET-7)", async () => {
    const { threadId, ask } = await small(`dev-w${WINDOW_TOKENS}`, null);
    let refused = 0;
    for (let i = 0; i < 8 && refused === 0; i++) {
      const received = await ask(`${threadId} ${LONG}\n!say answer ${i}`);
      expect(ofType(received, "agent_error")).toEqual([]);
      await expectOneText(threadId, received, `answer ${i}`);
      refused = (await behind.asked(threadId)).filter(({ status }) => status === 400).length;
    }
    expect(refused).toBeGreaterThan(0);
    expect((await summaries(threadId)).length).toBeGreaterThan(0);
  });

  it("and cannot be compacted fails its turn in the words of what it is (LET-7)", async () => {
    const { threadId, ask } = await small("dev-w10", null); // not even the agent's instructions fit
    const received = await ask(`anything ${threadId}`);
    expect(ofType(received, "agent_error")).toMatchObject([
      {
        reason: "context_too_long",
        retryable: false,
        error: "The conversation has become too long for the language model.",
      },
    ]);
    expect([shown(received), stored(received)]).toEqual(["", ""]);
  });
});

describe("a conversation that grows too long, of an organization that has spent what it may", () => {
  const limit = () => `/limits/organization/${behind.org.orgId}`;
  afterEach(() => behind.org.call("DELETE", limit()));
  const spent = async () => {
    const [row] = await adminQuery<{ tokens: string }>(
      behind.stack.adminUrl,
      "select coalesce(sum(prompt_tokens + completion_tokens), 0) as tokens from usage_entries where org_id = $1",
      [behind.org.orgId],
    );
    return Number(row?.tokens);
  };

  it("is answered and not compacted; once there is more, it is, and nothing is lost (SEC-5, LET-6)", async () => {
    const { threadId, ask, say, stream } = await small("dev-n60-r20", 500); // each answer is followed by a summary
    await ask(`${threadId} ${LONG}`);
    const before = (await summaries(threadId)).length;
    expect(before).toBeGreaterThan(0);
    await say(`the second of ${threadId}`);
    await stream.until((all) => ofType(all, "turn_started").length === 2);
    // The turn itself was asked before there was a limit, and holds to none.
    await ok(behind.org.call("PUT", limit(), { tokens_per_month: 1 }));
    const received = await stream.until((all) => ofType(all, "turn_completed").length === 2);
    await expectOneText(threadId, received, Array.from({ length: 60 }, (_, at) => at + 1).join(" "), 2);
    expect((await summaries(threadId)).length).toBe(before);
    const refused = await behind.org.call<Problem>("POST", `/threads/${threadId}/messages`, { content: "and now?" });
    expect(refused).toMatchObject({ status: 429, body: { details: { reason: "quota_exceeded" } } });
    await behind.org.call("DELETE", limit());
    expect(ofType(await ask(`the third of ${threadId}`), "turn_completed")).toHaveLength(3);
    const third = (await behind.asked(`the third of ${threadId}`)).at(0);
    expect(JSON.stringify(third?.body)).toContain(`the second of ${threadId}`);
    expect((await summaries(threadId)).length).toBeGreaterThan(before);
  });

  it("and is refused by the model ends its turn as spent, names the limit, and goes on once there is more (SEC-5, LET-7)", async () => {
    const { threadId, ask } = await small(`dev-w${WINDOW_TOKENS}`, null);
    const refusedByModel = async () => (await behind.asked(threadId)).filter(({ status }) => status === 400).length;
    const next = (n: number) => `${threadId} ${LONG}\n!say answer ${n}`;
    let said = 0;
    for (let prompt = 0; prompt + LONG.length / 4 + 50 < WINDOW_TOKENS && said < 8; said++) {
      await ask(next(said));
      const [last] = await adminQuery<{ prompt_tokens: number }>(
        behind.stack.adminUrl,
        "select prompt_tokens from turns where thread_id = $1 order by id desc limit 1",
        [threadId],
      );
      prompt = last?.prompt_tokens ?? 0;
    }
    expect(await refusedByModel()).toBe(0);
    // Enough for the turn, and not for a summary of all that was said.
    await ok(behind.org.call("PUT", limit(), { tokens_per_month: (await spent()) + 1 }));
    const { body } = await behind.org.call<Problem>("POST", `/threads/${threadId}/messages`, { content: next(said) });
    // What its request will be estimated at: three characters a token.
    const request = JSON.stringify((await behind.asked(threadId)).at(-1)?.body).length + next(said).length;
    const turn = Math.max(Number(body.details.needed), Math.ceil(request / 3));
    await ok(behind.org.call("PUT", limit(), { tokens_per_month: (await spent()) + turn + ROOM_TOKENS }));
    const ends = await ask(next(said));
    expect(await refusedByModel()).toBeGreaterThan(0);
    expect(await summaries(threadId)).toEqual([]);
    expect(ofType(ends, "agent_error")).toEqual([]);
    expect(ofType(ends, "turn_cancelled")).toMatchObject([
      {
        reason: "budget_spent",
        cancelled_by: null,
        limit: { scope: "organization", scope_id: behind.org.orgId, metric: "tokens_per_month" },
      },
    ]);
    await behind.org.call("DELETE", limit());
    const received = await ask(`once more ${threadId}\n!say goes on`);
    await expectOneText(threadId, received, "goes on");
    expect((await summaries(threadId)).length).toBeGreaterThan(0);
  });
});
