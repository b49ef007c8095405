import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../harness/server";
import { ofType, type Received, turnsEnded } from "../harness/stream";
import {
  type BehindGateway,
  behindGateway,
  START_MS_MAX,
  shown,
  startBeside,
  stored,
  type TestThread,
  testThread,
} from "./behind-gateway";
import { MODEL, type ScriptedProvider, type Step, startScripted } from "./scripted";

/** A turn of the second server may take so long: only the test of the deadline waits for it. */
const DEADLINE_MS = 6_000;

let behind: BehindGateway;
let provider: ScriptedProvider;
let server: Server;
let hasty: Server;

beforeAll(async () => {
  behind = await behindGateway();
  provider = await startScripted();
  const MODEL_UPSTREAMS = JSON.stringify([{ name: "scripted", base_url: provider.url }]);
  server = await startBeside(behind.stack, { MODEL_UPSTREAMS, GRAPHYN_ASK_AHEAD: "off" });
  hasty = await startBeside(behind.stack, { MODEL_UPSTREAMS, GRAPHYN_TURN_MS_MAX: String(DEADLINE_MS) });
}, START_MS_MAX);
afterAll(async () => {
  await Promise.all([server?.stop(), hasty?.stop()]);
  await provider?.close();
});

async function thread(at = server): Promise<TestThread> {
  const { threadId, stream } = await behind.thread(MODEL, { tools: ["memory_insert"] });
  await stream.close();
  return testThread(behind.at(at.url), threadId);
}

const call = { name: "memory_insert", arguments: '{"label":"human","new_string":"likes tea"}' };

/** How a turn ended: `completed`, `cancelled`, or why it failed. */
function endOf(received: Received[]): string {
  const error = ofType(received, "agent_error").at(-1);
  if (error) return error.reason;
  return ofType(received, "turn_cancelled").length > 0 ? "cancelled" : "completed";
}

async function toldByLetta(threadId: string): Promise<string> {
  const said = (await behind.inLetta(threadId)).filter(({ message_type }) => message_type === "assistant_message");
  return said.map(({ content }) => content).join("\n\n");
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

/**
 * The conversation's next request holds the question once, and the answer that was read once: so the agent remembers what happened.
 * Not what it said beside a tool call: Letta 0.16.8 stores that, and leaves it out of what it asks (helpers/reasoning_helper.py takes it
 * for a thought).
 */
async function expectRemembered(there: TestThread, question: string, paragraphs: string[], steps: Step[] = []) {
  const besideCalls = steps.flatMap((step) => (step.call && step.end === "tool_calls" ? [step.text?.join("")] : []));
  provider.script.splice(0, Number.POSITIVE_INFINITY, { text: ["Goes on."], end: "stop" });
  await there.ask("And then?");
  const heard = JSON.stringify(provider.asked.at(-1)?.messages.filter(({ role }) => role !== "system"));
  expect(count(heard, question), heard).toBe(1);
  for (const paragraph of paragraphs)
    expect(count(heard, paragraph), heard).toBe(besideCalls.includes(paragraph) ? 0 : 1);
}

/** The table in models/gateway/answer-turn.ts, row by row. */
const ROWS: [title: string, steps: Step[], end: string, paragraphs: string[]][] = [
  ["an answer", [{ text: ["Tea ", "it is."], end: "stop" }], "completed", ["Tea it is."]],
  ["an empty answer", [{ end: "stop" }], "completed", []],
  [
    "words, a tool call, and words",
    [
      { text: ["Let me ", "note it."], call, end: "tool_calls" },
      { text: ["Noted."], end: "stop" },
    ],
    "completed",
    ["Let me note it.", "Noted."],
  ],
  [
    "several steps with tools, not all with words",
    [
      { call, end: "tool_calls" },
      { text: ["Once more."], call, end: "tool_calls" },
      { call, end: "tool_calls" },
      { text: ["All noted."], end: "stop" },
    ],
    "completed",
    ["Once more.", "All noted."],
  ],
  ["no answer", [{ end: 503 }, { end: 503 }, { end: 503 }], "unavailable", []],
  ["a refused request", [{ end: 400 }], "request_refused", []],
  [
    "no answer in the second step",
    [{ text: ["Let me see."], call, end: "tool_calls" }, { end: 400 }],
    "request_refused",
    ["Let me see."],
  ],
  ["an error in mid-answer", [{ text: ["So far", " so good"], end: "error" }], "unavailable", ["So far so good"]],
  ["an upstream cut in mid-answer", [{ text: ["Cut", " off"], end: "cut" }], "cut", ["Cut off"]],
  ["an upstream cut before a word", [{ end: "cut" }, { end: "cut" }, { end: "cut" }], "unavailable", []],
  [
    "an upstream cut in the second step",
    [
      { text: ["One."], call, end: "tool_calls" },
      { text: ["Two", " but"], end: "cut" },
    ],
    "cut",
    ["One.", "Two but"],
  ],
  ["an upstream cut in a tool call", [{ text: ["I shall note"], call, end: "cut" }], "cut", ["I shall note"]],
  ["a content filter", [{ text: ["That is"], end: "content_filter" }], "content_refused", ["That is"]],
  [
    "a content filter in the second step",
    [
      { text: ["Looking."], call, end: "tool_calls" },
      { text: ["It says"], end: "content_filter" },
    ],
    "content_refused",
    ["Looking.", "It says"],
  ],
  ["the model's longest length", [{ text: ["Much and"], end: "length" }], "answer_too_long", ["Much and"]],
];

describe("readers, the thread and Letta have one text, and the next turn remembers it once (SSE-2, LET-6, LET-7)", () => {
  it.each(ROWS)("%s", async (title, steps, end, paragraphs) => {
    const there = await thread();
    const question = `Question of ${title}?`;
    const before = provider.asked.length;
    provider.script.splice(0, Number.POSITIVE_INFINITY, ...steps.map((step) => ({ ...step })));
    const received = await there.ask(question);
    expect(endOf(received)).toBe(end);
    expect(provider.asked.length - before).toBe(steps.length); // neither Letta nor the turn has asked again
    const text = paragraphs.join("\n\n");
    expect([shown(received), stored(received)]).toEqual([text, text]);
    expect(await toldByLetta(there.threadId)).toBe(text);
    await expectRemembered(there, question, paragraphs, steps);
    await there.stream.close();
  });
});

describe("a stop in mid-answer ends the upstream's request, and the agent remembers what was read (SSE-6)", () => {
  it.each([
    ["a person, in the first step", [], "cancelled"],
    ["a person, in the second step", [{ text: ["First."], call, end: "tool_calls" }], "cancelled"],
  ] as [string, Step[], string][])("by %s", async (_who, steps, end) => {
    const there = await thread();
    provider.script.splice(0, Number.POSITIVE_INFINITY, ...steps, { text: ["Said ", "until ", "then"], end: "hold" });
    const { turns } = await there.say("Stop me.");
    await there.stream.until((received) => shown(received).endsWith("Said until then"));
    await there.cancel(turns[0]?.id);
    const received = await there.stream.until(turnsEnded(1));
    await expectStopped(there, received, end, [...steps.flatMap(({ text }) => text ?? []), "Said until then"], steps);
  });

  it("by the deadline", async () => {
    const there = await thread(hasty);
    provider.script.splice(0, Number.POSITIVE_INFINITY, { text: ["Said ", "until ", "then"], end: "hold" });
    const received = await there.ask("Stop me.");
    await expectStopped(there, received, "turn_deadline", ["Said until then"]);
  });

  it("and before a word leaves nothing; the agent is told the message with its next turn", async () => {
    const there = await thread();
    provider.script.splice(0, Number.POSITIVE_INFINITY, { end: "hold" });
    const before = provider.asked.length;
    const { turns } = await there.say("Stop me.");
    await expect.poll(() => provider.asked.length, { timeout: 20_000 }).toBeGreaterThan(before);
    await there.cancel(turns[0]?.id);
    const received = await there.stream.until(turnsEnded(1));
    await expectStopped(there, received, "cancelled", []);
  });
});

async function expectStopped(
  there: TestThread,
  received: Received[],
  end: string,
  paragraphs: string[],
  steps: Step[] = [],
) {
  const text = paragraphs.join("\n\n");
  expect(endOf(received)).toBe(end);
  expect([shown(received), stored(received)]).toEqual([text, text]);
  expect(await toldByLetta(there.threadId)).toBe(text);
  const asked = provider.asked.at(-1);
  await expect.poll(() => asked?.gone).toBe(true);
  expect(asked?.sent).toBe(paragraphs.length === 0 ? 0 : 3); // not a token more than was read
  await expectRemembered(there, "Stop me.", paragraphs, steps);
  await there.stream.close();
}
