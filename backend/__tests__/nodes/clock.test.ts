import { afterAll, beforeAll, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { type Nodes, startNodes } from "../harness/nodes";
import { newAgent, newThread, ok, type TestOrganization } from "../harness/organization";
import { openStream, turnsEnded } from "../harness/stream";

const CLOCK = new URL("../../../bench/chaos/shifting-clock.mjs", import.meta.url).href;

/** Ids tell the time of the process that made them: one whose clock is an hour slow gives a later message an earlier id. */
let nodes: Nodes;
let org: TestOrganization;
beforeAll(async () => {
  nodes = await startNodes(2, { NODE_OPTIONS: `--import=${CLOCK}` });
  org = await nodes.organization();
  process.kill(nodes.nodes[1]?.pid ?? 0, "SIGUSR2");
});
afterAll(() => nodes?.stop());

it("an agent answers messages in the order of the log, whatever the clocks of the processes say that took them (THR-3)", async () => {
  const slow = nodes.at(org, 1);
  const threadId = await newThread(org, [await newAgent(org, "Slow", "openai-proxy/dev-slow-1000")]);
  const stream = await openStream(org, threadId);
  const say = (through: TestOrganization, content: string) =>
    ok(through.call<{ message: { seq: number } }>("POST", `/threads/${threadId}/messages`, { content }));
  const said: number[] = [];
  for (const [through, content] of [
    [org, "the one that is answered meanwhile"],
    [org, "the second"],
    [slow, "the third, an hour ago"],
  ] as const)
    said.push((await say(through, content)).message.seq);
  await stream.until(turnsEnded(3), 40_000);
  await stream.close();
  const turns = await adminQuery<{ id: string; seq: number }>(
    nodes.database.adminUrl,
    "select id, message_seq::int as seq from turns where thread_id = $1 order by started_at",
    [threadId],
  );
  expect(turns.map(({ seq }) => seq)).toEqual(said);
  expect((turns[2]?.id ?? "") < (turns[1]?.id ?? "")).toBe(true); // the clock was slow
});
