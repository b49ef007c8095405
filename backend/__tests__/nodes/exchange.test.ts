import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { type Nodes, startNodes } from "../harness/nodes";
import { newAgent, ok, type TestOrganization } from "../harness/organization";
import { ofType, openStream, turnsEnded } from "../harness/stream";

describe("limits of an exchange on several nodes", () => {
  let nodes: Nodes;
  let first: TestOrganization;
  let second: TestOrganization;
  let ping: string;
  let pong: string;
  beforeAll(async () => {
    nodes = await startNodes(2);
    first = await nodes.organization();
    second = nodes.at(first, 1);
    // The dev model quotes the first line of its instructions: each answer addresses the other agent.
    const model = "openai-proxy/dev-slow-1000";
    [ping, pong] = await Promise.all([
      newAgent(first, "Ping", model, "You are Ping. Ask @Pong next."),
      newAgent(first, "Pong", model, "You are Pong. Ask @Ping next."),
    ]);
  });
  afterAll(() => nodes?.stop());

  async function room(hops: number): Promise<string> {
    const body = { agents: [ping, pong], turn_policy: "mentioned", exchange_limits: { hops } };
    return (await ok(first.call<{ thread: { id: string } }>("POST", "/threads", body))).thread.id;
  }
  const say = (org: TestOrganization, id: string, mentions: string[]) =>
    ok(org.call<{ message: { seq: number } }>("POST", `/threads/${id}/messages`, { content: "begin", mentions }));
  const exchanges = (id: string) =>
    adminQuery<{ exchange: number; hops: number[]; states: string[]; ends: string[] }>(
      nodes.database.adminUrl,
      `select x.*, (
         select array_agg(reason) from exchange_limits_told e where (e.thread_id, e.exchange_seq) = ($1, x.exchange)) as ends
       from (
         select exchange::int as exchange, array_agg(hop order by hop) as hops, array_agg(distinct state) as states
         from turns where thread_id = $1 group by 1
       ) x order by exchange`,
      [id],
    );

  it("each message's exchange is counted by itself, whichever node it came to (AGT-2)", async () => {
    const id = await room(2);
    const reader = await openStream(second, id);
    const posted = await Promise.all([
      say(first, id, [ping]),
      say(second, id, [pong]),
      say(first, id, [pong]),
      say(second, id, [ping]),
    ]);
    const received = await reader.until(turnsEnded(12), 90_000);
    await reader.until((all) => ofType(all, "message").filter(({ message }) => message.reason !== null).length === 4);
    await reader.close();
    expect(ofType(received, "turn_completed")).toHaveLength(12);
    const asked = posted.map(({ message }) => message.seq).sort((a, b) => a - b);
    expect(await exchanges(id)).toEqual(
      asked.map((exchange) => ({ exchange, hops: [0, 1, 2], states: ["completed"], ends: ["hop_limit"] })),
    );
  }, 120_000);

  it("holds when the node that runs it is killed: no hop is lost, none is given twice, and its end is told once (AGT-2)", async () => {
    const id = await room(3);
    const reader = await openStream(second, id);
    const { message } = await say(first, id, [ping]);
    await reader.until((all) => ofType(all, "turn_started").length === 2);
    await nodes.nodes[0]?.stop("SIGKILL");
    const isOver = () => ofType(reader.received, "message").some((event) => event.message.reason === "hop_limit");
    await reader.until(isOver, 60_000);
    await reader.close();
    const answers = ofType(reader.received, "message").flatMap((event) =>
      event.message.sender_type === "agent" ? [event.message.sender_name] : [],
    );
    expect(answers).toEqual(["Ping", "Pong", "Ping", "Pong"]);
    expect(await exchanges(id)).toEqual([
      { exchange: message.seq, hops: [0, 1, 2, 3], states: ["completed"], ends: ["hop_limit"] },
    ]);
  }, 120_000);
});
