import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { newAgent, newOrganization, newThread, ok, request, type TestOrganization } from "../harness/organization";
import { freePort, type Server, type ServerConfig, startServer } from "../harness/server";
import { ofType, openStream, type Received, turnsEnded } from "../harness/stream";
import { newDevModel } from "./gateway";
import { type OwnLetta, startOwnLetta } from "./own-letta";

/** Letta's start takes 10 to 24 s, and its migrations ten more where no template is kept. */
const START_MS_MAX = 240_000;

let model: Awaited<ReturnType<typeof newDevModel>>;
let database: TestDatabase;
let server: Server;
let letta: OwnLetta;
let org: TestOrganization;
let user: string;
let config: () => ServerConfig;

const secret = () => randomBytes(16).toString("hex");
const secrets = { admin: secret(), gateway: secret(), letta: secret() };

beforeAll(async () => {
  model = await newDevModel();
  database = await createDatabase();
  const lettaPort = await freePort();
  config = () => ({
    databaseUrl: database.url,
    adminKey: secrets.admin,
    env: {
      MODEL_UPSTREAMS: JSON.stringify([{ name: "dev", base_url: `${model.url}/v1`, key_secret: "dev" }]),
      ModelUpstreamKeys: JSON.stringify({ dev: "the-providers-key" }),
      ModelGatewayKey: secrets.gateway,
      GRAPHYN_TURN_SOURCE: "gateway",
      LETTA_API_URL: `http://127.0.0.1:${lettaPort}`,
      LettaApiKey: secrets.letta,
    },
  });
  server = await startServer(config());
  letta = await startOwnLetta(lettaPort, secrets.letta, `${server.url}/internal/models/v1`, secrets.gateway);
  org = await newOrganization({
    url: server.url,
    adminKey: secrets.admin,
    databaseUrl: database.url,
    adminUrl: database.adminUrl,
  });
  await newAgent(org, "First");
  const [row] = await adminQuery<{ letta_user_id: string }>(
    database.adminUrl,
    "select letta_user_id from letta_tenants",
  );
  user = row?.letta_user_id ?? "";
}, START_MS_MAX);

afterAll(async () => {
  await letta?.stop();
  await server?.stop();
  await database?.drop();
  await model?.close();
});

/** A thread with one agent on a model, and what its readers see. */
async function thread(id: string, more: object = {}) {
  const made = await ok(
    org.call<{ agent_id: string }>("POST", "/agents", {
      name: "Ada",
      system_prompt: "You are Ada.",
      model: `openai-proxy/${id}`,
      ...more,
    }),
  );
  const threadId = await newThread(org, [made.agent_id]);
  const stream = await openStream(org, threadId);
  let ended = 0;
  return {
    threadId,
    stream,
    say: (content: string) =>
      ok(org.call<{ turns: { id: string }[] }>("POST", `/threads/${threadId}/messages`, { content })),
    /** Says something and waits for the end of its turn. */
    async ask(content: string) {
      ended++;
      await ok(org.call("POST", `/threads/${threadId}/messages`, { content }));
      return stream.until(turnsEnded(ended), 60_000);
    },
  };
}

/** The agent's words: as the chunks joined, as the thread stored them, and as Letta stored them, of the last turn. */
function shown(received: Received[]): string {
  const turn = ofType(received, "turn_started").at(-1)?.turn_id;
  return ofType(received, "ai_chunk")
    .filter((chunk) => chunk.turn_id === turn)
    .map((chunk) => chunk.content)
    .join("");
}

function stored(received: Received[]): string {
  const turn = ofType(received, "turn_started").at(-1)?.turn_id;
  return ofType(received, "message").find(({ message }) => message.turn_id === turn)?.message.content ?? "";
}

interface LettaSaid {
  message_type: string;
  content?: string;
}

async function inLetta(threadId: string): Promise<LettaSaid[]> {
  const [row] = await adminQuery<{ letta_conversation_id: string }>(
    database.adminUrl,
    "select letta_conversation_id from agent_conversations where thread_id = $1",
    [threadId],
  );
  return letta.call("GET", `/v1/conversations/${row?.letta_conversation_id}/messages?limit=100&order=asc`, { user });
}

async function lastInLetta(threadId: string, type: string): Promise<string | undefined> {
  return (await inLetta(threadId)).filter((message) => message.message_type === type).at(-1)?.content;
}

describe("what readers saw, the thread stored and Letta stored is one text", () => {
  it("for an answer (SSE-2, LET-6)", async () => {
    const { threadId, ask } = await thread("dev-n100");
    const received = await ask("count");
    expect(ofType(received, "turn_completed")).toHaveLength(1);
    expect(ofType(received, "ai_chunk").length).toBeGreaterThan(10);
    expect(stored(received)).toBe(Array.from({ length: 100 }, (_, i) => i + 1).join(" "));
    expect(shown(received)).toBe(stored(received));
    expect(await lastInLetta(threadId, "assistant_message")).toBe(stored(received));
  });

  it("for a tool call and what is said after it (LET-6)", async () => {
    const { threadId, ask } = await thread("dev", { tools: ["memory_insert"] });
    const received = await ask('!tool memory_insert {"label":"human","new_string":"likes tea"}');
    expect(ofType(received, "turn_completed")).toHaveLength(1);
    expect(shown(received)).toBe(stored(received));
    expect(stored(received)).not.toBe("");
    const types = (await inLetta(threadId)).map((message) => message.message_type);
    expect(types).toEqual(expect.arrayContaining(["tool_call_message", "tool_return_message", "assistant_message"]));
    expect(await lastInLetta(threadId, "assistant_message")).toBe(stored(received).split("\n\n").at(-1));
  });

  it("for an answer that was stopped: the upstream ends at once, and Letta remembers what was read (SSE-6)", async () => {
    const { threadId, stream, say, ask } = await thread("dev-n200-r20");
    const { turns } = await say("talk for long");
    await stream.until((received) => ofType(received, "ai_chunk").length > 4);
    await ok(org.call("POST", `/threads/${threadId}/turns/${turns[0]?.id}/cancel`));
    const received = await stream.until(turnsEnded(1));
    expect(ofType(received, "turn_cancelled")).toHaveLength(1);
    expect(shown(received)).toBe(stored(received));
    expect(await lastInLetta(threadId, "assistant_message")).toBe(stored(received));
    const asked = (await model.requests()).filter(({ body }) => JSON.stringify(body).includes("talk for long")).at(-1);
    expect(asked).toMatchObject({ client_gone: true });
    expect(asked?.tokens_sent).toBeLessThan(100);
    const before = stored(received);
    const again = ask("go on!\n!say yes"); // the first of its turns is counted below
    await stream.until(turnsEnded(2));
    await again;
    const next = (await model.requests()).filter(({ body }) => JSON.stringify(body).includes("go on!")).at(-1);
    expect(JSON.stringify(next?.body)).toContain(JSON.stringify(before).slice(1, -1));
  });

  it("for an answer that the upstream broke off: the turn fails by its reason, its words are kept (LET-7)", async () => {
    const { threadId, ask } = await thread("dev-cut-10-r20");
    const received = await ask("begin");
    expect(ofType(received, "agent_error")).toMatchObject([{ reason: "cut" }]);
    expect(stored(received)).not.toBe("");
    expect(shown(received)).toBe(stored(received));
    expect(await lastInLetta(threadId, "assistant_message")).toBe(stored(received));
  });

  it("for no answer: nothing is shown, nothing stored, and the reason is the provider's (LET-7)", async () => {
    const { threadId, ask } = await thread("dev-error-401");
    const received = await ask("hello?");
    expect(ofType(received, "agent_error")).toMatchObject([{ reason: "key_invalid", retryable: false }]);
    expect([shown(received), stored(received)]).toEqual(["", ""]);
    expect(await lastInLetta(threadId, "assistant_message")).toBeUndefined();
  });

  it("for what the provider's filter let through (LET-7)", async () => {
    const { threadId, ask } = await thread("dev-filter");
    const received = await ask("say it");
    expect(ofType(received, "agent_error")).toMatchObject([{ reason: "content_refused" }]);
    expect(shown(received)).toBe(stored(received));
    expect(await lastInLetta(threadId, "assistant_message")).toBe(stored(received));
  });

  it("for an empty answer (LET-7)", async () => {
    const { ask } = await thread("dev-empty");
    const received = await ask("anything?");
    expect(turnsEnded(1)(received)).toBe(true);
    expect([shown(received), stored(received)]).toEqual(["", ""]);
  });
});

describe("asking ahead", () => {
  it("asks the upstream once a turn, with exactly what Letta asks later, and nothing is said twice (SSE-2)", async () => {
    const { threadId, ask } = await thread("dev-n20");
    for (const content of ["one", "two", "three", "four"]) await ask(`${content} ${threadId}`);
    const asked = (await model.requests()).filter(({ body }) => JSON.stringify(body).includes(threadId));
    expect(asked).toHaveLength(4);
    expect(asked.filter(({ client_gone }) => client_gone)).toEqual([]);
    expect((await inLetta(threadId)).filter((m) => m.message_type === "assistant_message")).toHaveLength(4);
    const calls = await adminQuery<{ purpose: string }>(
      database.adminUrl,
      "select purpose from model_calls where turn_id in (select id from turns where thread_id = $1)",
      [threadId],
    );
    expect(calls.map(({ purpose }) => purpose)).toEqual(["turn", "turn", "turn", "turn"]);
    const totals = await request<{ hits: number }>(server.url, "GET", "/models/guesses");
    expect(totals.body.hits).toBeGreaterThanOrEqual(3); // all but the first, of which nothing was known
  });

  it("drops a guess that Letta does not make, and shows nothing of it (SSE-2)", async () => {
    const { threadId, ask } = await thread("dev", { tools: ["memory_insert"] });
    await ask(`!say first ${threadId}`);
    await ask(`!tool memory_insert {"label":"human","new_string":"changes the prompt ${threadId}"}`);
    const received = await ask(`!say last ${threadId}`);
    expect(shown(received)).toBe(`last ${threadId}`);
    expect(await lastInLetta(threadId, "assistant_message")).toBe(`last ${threadId}`);
  });
});

describe("several processes", () => {
  it("hand a request over to the one that runs its turn (SSE-2, LET-7)", async () => {
    const other = await startServer(config());
    try {
      const { threadId } = await thread("dev-n20");
      const at = {
        ...org,
        url: other.url,
        call: <T>(method: string, path: string, body?: unknown) =>
          request<T>(other.url, method, path, body, { authorization: `Bearer ${org.apiKey}` }),
      };
      const stream = await openStream(at, threadId);
      await ok(at.call("POST", `/threads/${threadId}/messages`, { content: `over there ${threadId}` })); // Letta asks the first process
      const received = await stream.until(turnsEnded(1), 60_000);
      await stream.close();
      expect(ofType(received, "turn_completed")).toHaveLength(1);
      expect(shown(received)).toBe(stored(received));
      expect(await lastInLetta(threadId, "assistant_message")).toBe(stored(received));
      expect(
        (await model.requests()).filter(({ body }) => JSON.stringify(body).includes(`over there ${threadId}`)),
      ).toHaveLength(1);
    } finally {
      await other.stop();
    }
  });
});

describe("the gateway", () => {
  it("refuses a request that no running turn stands behind (SEC-1)", async () => {
    const { threadId, ask } = await thread("dev");
    await ask(`!say hello ${threadId}`);
    const last = (await model.requests()).filter(({ body }) => JSON.stringify(body).includes(threadId)).at(-1);
    const before = (await model.requests()).length;
    const replayed = await fetch(`${server.url}/internal/models/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: "Bearer wrong", "content-type": "application/json" },
      body: JSON.stringify(last?.body),
    });
    expect(replayed.status).toBe(401);
    expect((await model.requests()).length).toBe(before);
  });
});
