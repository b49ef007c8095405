import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database";
import { newAgent, newOrganization, newThread, ok, type TestOrganization } from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { ofType, openStream, turnsEnded } from "../harness/stream";
import { startTcpProxy, type TcpProxy } from "../harness/tcp-proxy";

const ADMIN_KEY = "letta-faults-test";

/** A Graphyn of its own, with a proxy that breaks what lies between it and the real Letta. */
describe("an agent whose Letta", () => {
  let database: TestDatabase;
  let proxy: TcpProxy;
  let server: Server;
  let org: TestOrganization;
  let agent: string;
  beforeAll(async () => {
    database = await createDatabase();
    proxy = await startTcpProxy(process.env.LETTA_API_URL ?? "");
    server = await startServer({ databaseUrl: database.url, adminKey: ADMIN_KEY, env: { LETTA_API_URL: proxy.url } });
    org = await newOrganization({
      url: server.url,
      adminKey: ADMIN_KEY,
      databaseUrl: database.url,
      adminUrl: database.adminUrl,
    });
    agent = await newAgent(org, "Ada", "openai-proxy/dev-n40-r20");
  });
  afterAll(async () => {
    await server?.stop();
    await proxy?.close();
    await database?.drop();
  });
  beforeEach(() => {
    proxy.fault = { kind: "none" };
  });

  const ask = async (id: string, content: string) =>
    (await ok(org.call<{ message: { id: string } }>("POST", `/threads/${id}/messages`, { content }))).message.id;
  const messageIds = async (id: string) =>
    (await ok(org.call<{ messages: { id: string }[] }>("GET", `/threads/${id}/messages`))).messages.map((m) => m.id);

  it("is down fails its turn after bounded tries; the message stays, health says so, and the next one is answered (LET-7, LET-3)", async () => {
    const id = await newThread(org, [agent]);
    await ask(id, "settle in");
    const stream = await openStream(org, id);
    await stream.until(turnsEnded(0));
    await expect
      .poll(
        async () =>
          (await ok(org.call<{ context: { running_turns: unknown[] } }>("GET", `/threads/${id}`))).context.running_turns
            .length,
        { timeout: 30_000 },
      )
      .toBe(0);

    await proxy.goDown();
    const lost = await ask(id, "anybody there?");
    const failed = await stream.until((received) => ofType(received, "agent_error").length === 1, 60_000);
    expect(ofType(failed, "agent_error")[0]).toMatchObject({ agent_id: agent, reason: "unavailable", retryable: true });
    expect(await messageIds(id)).toContain(lost);
    const health = await ok(org.call<{ status: string; problem: string | null }>("GET", "/letta/health"));
    expect(health.status).not.toBe("ok");
    expect(health.problem).not.toBe("");
    // Everything that needs no agent works on.
    expect((await org.call("GET", `/threads/${id}/messages`)).status).toBe(200);
    expect((await org.call("GET", "/health")).status).toBe(200);

    await proxy.comeBack();
    await expect
      .poll(async () => (await ok(org.call<{ status: string }>("GET", "/letta/health"))).status, {
        timeout: 45_000,
        interval: 500,
      })
      .toBe("ok");
    await ask(id, "and now?");
    const answered = await stream.until(
      (received) =>
        ofType(received, "turn_completed").length >= 2 ||
        (ofType(received, "turn_completed").length === 1 && ofType(received, "agent_error").length === 2),
      60_000,
    );
    await stream.close();
    expect(ofType(answered, "agent_error")).toHaveLength(1);
  }, 180_000);

  it("cuts the stream in mid-answer fails its turn with the words so far kept (LET-7, THR-3)", async () => {
    const id = await newThread(org, [agent]);
    const stream = await openStream(org, id);
    await ask(id, "talk");
    await stream.until((received) => ofType(received, "ai_chunk").length >= 5);
    proxy.dropConnections();
    const received = await stream.until(turnsEnded(1), 60_000);
    await stream.close();
    expect(ofType(received, "agent_error")).toHaveLength(1);
    const kept = ofType(received, "message").at(-1)?.message;
    expect(kept).toMatchObject({ sender_type: "agent", status: "failed" });
    expect(
      ofType(received, "ai_chunk")
        .map((chunk) => chunk.content)
        .join(""),
    ).toBe(kept?.content);
  }, 120_000);

  it("answers rubbish fails its turn after bounded tries (LET-7)", async () => {
    const id = await newThread(org, [agent]);
    const stream = await openStream(org, id);
    await expect
      .poll(async () => (await ok(org.call<{ status: string }>("GET", "/letta/health"))).status, {
        timeout: 45_000,
        interval: 500,
      })
      .toBe("ok");
    proxy.fault = { kind: "garble", afterBytes: 0 };
    const message = await ask(id, "say something clear");
    const received = await stream.until(turnsEnded(1), 90_000);
    await stream.close();
    expect(ofType(received, "agent_error")).toHaveLength(1);
    expect(await messageIds(id)).toContain(message);
  }, 150_000);
});
