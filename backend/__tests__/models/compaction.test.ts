import { beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { ofType, type Received } from "../harness/stream";
import { type BehindGateway, behindGateway, START_MS_MAX, shown, stored, type TestThread } from "./behind-gateway";

let behind: BehindGateway;

beforeAll(async () => {
  behind = await behindGateway();
}, START_MS_MAX);

const LONG = "words that fill the window of a small model ".repeat(30).trim();
/** Tokens that an agent's instructions, its memory and one short message take, by the dev model's count, and some more. */
const WINDOW_TOKENS = 2_500;

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

async function expectOneText(threadId: string, received: Received[], text: string) {
  expect([shown(received), stored(received)]).toEqual([text, text]);
  // Not the last: Letta gives its messages the second they were made in, and a compaction changes their order within it.
  const said = (await behind.inLetta(threadId)).filter(({ message_type }) => message_type === "assistant_message");
  expect(said.map(({ content }) => content).filter((content) => content === text)).toHaveLength(1);
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
