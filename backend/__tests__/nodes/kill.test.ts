import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { type Nodes, startNodes } from "../harness/nodes";
import { type Posted, violations } from "../harness/oracle";
import { newAgent, newThread, ok, type TestOrganization } from "../harness/organization";
import { ofType, openStream, turnsEnded } from "../harness/stream";

/** Within which the turns of a killed process must have ended: the requirement's bound, not a measurement. */
const RECOVERED_MS_MAX = 15_000;

describe("a process that is killed while another goes on", () => {
  let nodes: Nodes;
  let dying: TestOrganization;
  let living: TestOrganization;
  beforeAll(async () => {
    nodes = await startNodes(2);
    dying = await nodes.organization();
    living = nodes.at(dying, 1);
  });
  afterAll(() => nodes?.stop());

  it("leaves its turns to the other: each ends once, with its words, and no entry is lost or doubled (LET-7, SSE-4)", async () => {
    const talker = await newAgent(dying, "Talker", "openai-proxy/dev-n200-r20");
    const slow = await newAgent(dying, "Slow", "openai-proxy/dev-slow-5000");
    const [spoken, silent, queued] = [
      await newThread(dying, [talker]),
      await newThread(dying, [slow]),
      await newThread(dying, [talker]),
    ];
    const readers = await Promise.all([spoken, silent, queued].map((id) => openStream(living, id)));
    const [hearing, waiting, second] = readers;
    if (!hearing || !waiting || !second) throw new Error("three readers");
    const posted: Posted[] = [];
    const say = async (org: TestOrganization, threadId: string, content: string) => {
      const path = `/threads/${threadId}/messages`;
      const said = await ok(org.call<{ message: { id: string }; turns: { id: string }[] }>("POST", path, { content }));
      posted.push({ threadId, content, id: said.message.id, turns: said.turns.map(({ id }) => id) });
    };
    await say(dying, spoken, "talk for long");
    await say(dying, silent, "think first");
    await say(dying, queued, "talk for long, too");
    await say(dying, queued, "and answer this afterwards");
    await hearing.until((received) => ofType(received, "ai_chunk").length > 10);
    await second.until((received) => ofType(received, "ai_chunk").length > 3);
    await nodes.nodes[0]?.stop("SIGKILL");
    await say(living, spoken, "are you still there?"); // life goes on

    await hearing.until(turnsEnded(1), RECOVERED_MS_MAX);
    await second.until(turnsEnded(1), RECOVERED_MS_MAX);
    await waiting.until(turnsEnded(1), RECOVERED_MS_MAX + 10_000); // it is begun again, and thinks for five seconds
    await hearing.until(turnsEnded(2), 60_000);
    await second.until(turnsEnded(2), 60_000);
    await Promise.all(readers.map((reader) => reader.close()));

    // What the reader of the living process heard of the dead one's turn is how its message begins, and the rest was given to it, too.
    for (const reader of [hearing, second]) {
      const failed = ofType(reader.received, "message").find(({ message }) => message.status === "failed")?.message;
      const heard = ofType(reader.received, "ai_chunk").filter((chunk) => chunk.turn_id === failed?.turn_id);
      expect(heard.map((chunk) => chunk.content).join("")).toBe(failed?.content);
      expect(ofType(reader.received, "agent_error")).toMatchObject([{ reason: "interrupted", retryable: true }]);
    }
    expect(ofType(waiting.received, "turn_completed")).toHaveLength(1);
    const turns = await adminQuery<{ thread_id: string; state: string }>(
      nodes.database.adminUrl,
      "select thread_id, state from turns order by thread_id, id",
    );
    expect(turns.map(({ state }) => state).sort()).toEqual(["completed", "completed", "completed", "failed", "failed"]);
    expect(await violations(nodes.database.adminUrl, posted)).toEqual([]);
  }, 180_000);
});
