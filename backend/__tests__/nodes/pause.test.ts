import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { type Nodes, startNodes } from "../harness/nodes";
import { violations } from "../harness/oracle";
import { newAgent, newThread, ok, type TestOrganization } from "../harness/organization";
import { ofType, openStream, turnsEnded } from "../harness/stream";

/** Within which a turn whose process cannot be heard must have ended: the requirement's bound, not a measurement. */
const RECOVERED_MS_MAX = 15_000;
/** For a process that wakes up: it does at once what it was about to do, and its own look (2 s) tells it the rest. */
const AWAKE_MS = 4_000;

describe("a process that stands still while another goes on", () => {
  let nodes: Nodes;
  let pausing: TestOrganization;
  let living: TestOrganization;
  beforeAll(async () => {
    nodes = await startNodes(2);
    pausing = await nodes.organization();
    living = nodes.at(pausing, 1);
  });
  afterAll(() => nodes?.stop());

  it("has lost its turns when it wakes up, and writes nothing more of them (LET-7, THR-3)", async () => {
    const talker = await newAgent(pausing, "Talker", "openai-proxy/dev-n600-r20");
    const threads = await Promise.all(Array.from({ length: 4 }, () => newThread(pausing, [talker])));
    const readers = await Promise.all(threads.map((id) => openStream(living, id)));
    for (const id of threads) await ok(pausing.call("POST", `/threads/${id}/messages`, { content: "talk for long" }));
    for (const reader of readers) await reader.until((received) => ofType(received, "ai_chunk").length > 5);
    const { pid } = nodes.nodes[0] ?? {};
    if (!pid) throw new Error("no process");
    process.kill(pid, "SIGSTOP");
    try {
      for (const reader of readers) await reader.until(turnsEnded(1), RECOVERED_MS_MAX);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    const log = () =>
      adminQuery(nodes.database.adminUrl, "select thread_id, seq, kind from thread_log order by thread_id, seq");
    const before = await log();
    await sleep(AWAKE_MS);
    expect(await log()).toEqual(before);
    for (const reader of readers) {
      expect(ofType(reader.received, "agent_error")).toMatchObject([{ reason: "interrupted", retryable: true }]);
      await reader.close();
    }
    expect(await violations(nodes.database.adminUrl, [])).toEqual([]); // no pieces of text of theirs, among others
  }, 90_000);

  it("keeps no thread locked, wherever it stood still (LET-7, THR-2)", async () => {
    const id = await newThread(pausing);
    const { pid } = nodes.nodes[0] ?? {};
    if (!pid) throw new Error("no process");
    const path = `/threads/${id}/messages`;
    const key = { "idempotency-key": randomUUID() };
    const holder = new pg.Client({ connectionString: nodes.database.adminUrl });
    await holder.connect();
    try {
      await holder.query("begin");
      await holder.query("select from threads where id = $1 for update", [id]);
      const waiting = pausing.call("POST", path, { content: "said before it stood still" }, key);
      const isWaiting = () =>
        adminQuery(nodes.database.adminUrl, "select pid from pg_stat_activity where wait_event_type = 'Lock'");
      await expect.poll(async () => (await isWaiting()).length, { timeout: 5_000 }).toBe(1);
      process.kill(pid, "SIGSTOP");
      await holder.query("commit"); // the lock is given to a process that does not know
      await ok(living.call("POST", path, { content: "said while it stood still" }));
      process.kill(pid, "SIGCONT");
      await waiting;
    } finally {
      process.kill(pid, "SIGCONT");
      await holder.end();
    }
    await ok(pausing.call("POST", path, { content: "said before it stood still" }, key));
    const { messages } = await ok(living.call<{ messages: { content: string; sender_type: string }[] }>("GET", path));
    const said = messages.filter(({ sender_type }) => sender_type === "user");
    expect(said.map(({ content }) => content)).toEqual(["said while it stood still", "said before it stood still"]);
    expect(await violations(nodes.database.adminUrl, [])).toEqual([]);
  }, 60_000);
});
