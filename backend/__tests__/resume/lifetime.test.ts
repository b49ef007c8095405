import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { entryCursor } from "../../lib/cursor";
import { readUntilCut } from "../harness/cut-reader";
import { createDatabase, type TestDatabase } from "../harness/database";
import { compared, newJournal } from "../harness/journal";
import { newAgent, newOrganization, newThread, ok, type TestOrganization } from "../harness/organization";
import { type Server, startServer } from "../harness/server";

/** Much shorter than an answer: every connection ends in the middle of it. */
const LIFETIME_MS = 300;
const CONNECTIONS_MIN = 3;

describe("a connection's lifetime", () => {
  const adminKey = randomBytes(8).toString("hex");
  let database: TestDatabase;
  let server: Server;
  let org: TestOrganization;
  beforeAll(async () => {
    database = await createDatabase();
    const env = { GRAPHYN_STREAM_LIFETIME_MS: String(LIFETIME_MS) };
    server = await startServer({ databaseUrl: database.url, adminKey, env });
    org = await newOrganization({ url: server.url, adminKey, databaseUrl: database.url, adminUrl: database.adminUrl });
  });
  afterAll(async () => {
    await server?.stop();
    await database?.drop();
  });

  it("is bounded by the server, and nobody who comes back notices (SSE-3, SSE-4)", async () => {
    const agents = [
      await newAgent(org, "Ada", "openai-proxy/dev-n40-r20"),
      await newAgent(org, "Bob", "openai-proxy/dev-n20-r20"),
    ];
    const threadId = await newThread(org, agents);
    const start = entryCursor(threadId, 0);
    const journal = newJournal({ cursor: start, seq: 0 });
    await ok(org.call("POST", `/threads/${threadId}/messages`, { content: "Tell me more." }));
    const ends = () => journal.entries.filter(({ event }) => event.type === "turn_completed").length;
    let connections = 0;
    // Nothing cuts these connections, and a reader that has the end stays until the server ends it too.
    while (ends() < agents.length) {
      connections++;
      await readUntilCut({ org, threadId, url: server.url, journal, cutAfter: null });
    }
    expect(connections).toBeGreaterThanOrEqual(CONNECTIONS_MIN);

    const log = newJournal({ cursor: start, seq: 0 });
    const last = journal.entries.length;
    await readUntilCut({
      org,
      threadId,
      url: server.url,
      journal: log,
      cutAfter: null,
      isDone: ({ entries }) => entries.length === last,
    });
    const { has, should } = compared(journal, log.entries);
    expect(has).toEqual(should);
    expect(journal.takenBack.size).toBe(0);
    expect(journal.texts.size).toBe(agents.length);
  });
});
