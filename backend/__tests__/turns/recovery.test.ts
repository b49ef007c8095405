import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { entryCursor } from "../../lib/cursor";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { newAgent, newOrganization, newThread, ok, type TestOrganization } from "../harness/organization";
import { freePort, type Server, startServer } from "../harness/server";
import { ofType, openStream, turnsEnded } from "../harness/stream";

/** Within which a dead process's turns must have ended: the requirement's bound, not a measurement. */
const RECOVERED_MS_MAX = 15_000;

describe("a process that is killed in mid-turn", () => {
  const adminKey = randomBytes(8).toString("hex");
  let database: TestDatabase;
  let server: Server;
  let org: TestOrganization;
  let port: number;
  beforeAll(async () => {
    database = await createDatabase();
    port = await freePort();
    server = await startServer({ databaseUrl: database.url, adminKey, port });
    org = await newOrganization({ url: server.url, adminKey, databaseUrl: database.url, adminUrl: database.adminUrl });
  });
  afterAll(async () => {
    await server?.stop();
    await database?.drop();
  });
  const say = (id: string, content: string) =>
    ok(org.call<{ turns: { id: string }[] }>("POST", `/threads/${id}/messages`, { content }));
  const states = () =>
    adminQuery<{ id: string; state: string; error_reason: string | null }>(
      database.adminUrl,
      "select id, state, error_reason from turns order by id",
    );

  it("has its turns ended after the restart; what was said is kept, what waited is answered (LET-7, THR-3)", async () => {
    const talker = await newAgent(org, "Talker", "openai-proxy/dev-n200-r20");
    const waiting = await newAgent(org, "Waiting", "openai-proxy/dev-slow-5000");
    const [spoken, silent] = [await newThread(org, [talker]), await newThread(org, [waiting])];
    const stream = await openStream(org, spoken);
    const first = await say(spoken, "talk for long");
    const second = await say(silent, "think first");
    await stream.until((received) => ofType(received, "ai_chunk").length > 20);
    const seen = ofType(stream.received, "ai_chunk")
      .slice(0, 5)
      .map((chunk) => chunk.content)
      .join("");
    await new Promise((resolve) => setTimeout(resolve, 300)); // more than one flush
    await server.stop("SIGKILL");
    await stream.close();

    server = await startServer({ databaseUrl: database.url, adminKey, port });
    const restarted = Date.now();
    await expect
      .poll(async () => (await states()).find((turn) => turn.id === first.turns[0]?.id)?.state, {
        timeout: RECOVERED_MS_MAX,
        interval: 200,
      })
      .toBe("failed");
    expect(Date.now() - restarted).toBeLessThan(RECOVERED_MS_MAX);
    const { messages } = await ok(
      org.call<{ messages: { status: string; content: string; turn_id: string | null }[] }>(
        "GET",
        `/threads/${spoken}/messages`,
      ),
    );
    const kept = messages.at(-1);
    expect(kept).toMatchObject({ status: "failed", turn_id: first.turns[0]?.id });
    expect(kept?.content.startsWith(seen)).toBe(true);

    // Nothing had been said in the other: it is begun again and answered.
    const again = await openStream(org, silent, entryCursor(silent, 1));
    const received = await again.until(turnsEnded(1), 60_000);
    await again.close();
    expect(ofType(received, "turn_completed")).toMatchObject([{ turn_id: second.turns[0]?.id }]);
    expect((await states()).map((turn) => turn.state).sort()).toEqual(["completed", "failed"]);
    expect(await adminQuery(database.adminUrl, "select * from turn_deltas")).toEqual([]);
  }, 120_000);
});
