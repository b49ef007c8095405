import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../harness/database";
import { newOrganization, ok, request, type TestOrganization } from "../harness/organization";
import { type Server, startServer } from "../harness/server";
import { openStream } from "../harness/stream";
import { openSocket } from "../realtime/socket";

/** Stands in everything that people write here: whatever of it the log has, it has of people. */
const WORD = "canary5f0e1d";
const ADMIN_KEY = "the-operators-key-4b7a90";
const PROVIDER_KEY = "sk-of-the-provider-91c2";
/** Models that fail in every way there is: packages/dev-model/README.md. */
const FAILING = ["dev-error-500", "dev-error-429", "dev-error-401", "dev-cut-3", "dev-empty"];

describe("the log", () => {
  let database: TestDatabase;
  let server: Server;
  let org: TestOrganization;
  beforeAll(async () => {
    database = await createDatabase();
    const secrets = { EmbeddingsApiKey: PROVIDER_KEY, ApiKeyHashKey: "the-hash-key-of-this-test-77aa" };
    server = await startServer({ databaseUrl: database.url, adminKey: ADMIN_KEY, env: secrets });
    org = await newOrganization({ ...database, url: server.url, adminKey: ADMIN_KEY, databaseUrl: database.url }, WORD);
  });
  afterAll(async () => {
    await server.stop();
    await database.drop();
  });

  it("has nothing of what people wrote and no secret, whatever they do and however it fails (SEC-1, SEC-2)", async () => {
    const agents: string[] = [];
    for (const model of [undefined, ...FAILING]) {
      const made = await org.call<{ agent_id: string }>("POST", "/agents", {
        name: `Agent ${WORD}`,
        system_prompt: `Guard ${WORD}.`,
        ...(model ? { model: `openai-proxy/${model}` } : {}),
      });
      if (made.status === 200) agents.push(made.body.agent_id);
    }
    expect(agents.length).toBeGreaterThan(3);
    const { id: person } = await ok(org.call<{ id: string }>("POST", "/people", { name: `Person ${WORD}` }));
    const { thread } = await ok(
      org.call<{ thread: { id: string } }>("POST", "/threads", { title: WORD, agents, people: [person] }),
    );
    const stream = await openStream(org, thread.id);
    const socket = await openSocket(org, thread.id, { tab: `tab-${WORD}` });
    const headers = { "idempotency-key": `key-${WORD}` };
    const said = await ok(
      org.call<{ message: { id: string } }>(
        "POST",
        `/threads/${thread.id}/messages`,
        { content: `Say ${WORD}` },
        headers,
      ),
    );
    socket.send({ type: "send", id: "m1", content: `Aloud ${WORD}` });
    socket.send({ type: "send", id: "m2", content: WORD, mentions: [WORD] });
    socket.send(`{"type":"send","${WORD}`);
    await org.call("POST", `/threads/${thread.id}/messages/${said.message.id}/edit`, { content: `Better ${WORD}` });
    await org.call("GET", `/search?q=${WORD}`);
    // What is refused, and what breaks off, in every layer.
    await org.call("POST", `/threads/${thread.id}/messages`, { content: `${WORD}\u0000` });
    await org.call("POST", `/threads/${thread.id}/messages`, { content: WORD, mentions: [WORD], sender_id: WORD });
    await org.call("POST", "/threads", { title: WORD, agents: [WORD], turn_policy: WORD });
    await org.call("GET", `/threads/${thread.id}/messages?cursor=${WORD}`);
    await request(server.url, "GET", `/threads/${WORD}`, undefined, { authorization: `Bearer ${org.apiKey}${WORD}` });
    await request(server.url, "POST", "/organizations", { name: WORD, owner_name: WORD }, { "x-admin-key": WORD });
    await fetch(`${server.url}/threads`, {
      method: "POST",
      headers: { authorization: `Bearer ${org.apiKey}`, "content-type": "application/json" },
      body: `{"title":"${WORD}`,
    });
    for (let looks = 0; looks < 150; looks++) {
      const page = await org.call<{ context: { running_turns: unknown[] } }>("GET", `/threads/${thread.id}/messages`);
      if (page.body.context.running_turns.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await org.call("DELETE", `/threads/${thread.id}?purge=true`);
    stream.close();
    socket.cut();

    const log = server.output();
    expect(log).toContain("an agent's answer failed"); // it did fail, and the log says so
    for (const secret of [
      org.apiKey,
      org.apiKey.slice(-40),
      ADMIN_KEY,
      PROVIDER_KEY,
      "the-hash-key-of-this-test-77aa",
    ]) {
      expect(log).not.toContain(secret);
    }
    if (process.env.LETTA_API_KEY) expect(log).not.toContain(process.env.LETTA_API_KEY);
    expect(log.split("\n").filter((line) => line.includes(WORD))).toEqual([]);
  }, 120_000);
});
