import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adminQuery, createDatabase, type TestDatabase } from "../harness/database";
import { newOrganization, ok, type TestOrganization } from "../harness/organization";
import { freePort, type Server, startServer } from "../harness/server";
import { newDevModel } from "./gateway";
import { type LettaMessage, type OwnLetta, startOwnLetta } from "./own-letta";

/** Letta's start takes 10 to 24 s, and its migrations ten more where no template is kept. */
const START_MS_MAX = 240_000;

let model: Awaited<ReturnType<typeof newDevModel>>;
let database: TestDatabase;
let server: Server;
let letta: OwnLetta;
let org: TestOrganization;
let user: string;
let agent: string;

beforeAll(async () => {
  model = await newDevModel();
  database = await createDatabase();
  const [adminKey, gatewayKey, password] = [0, 1, 2].map(() => randomBytes(16).toString("hex")) as [
    string,
    string,
    string,
  ];
  const lettaPort = await freePort();
  server = await startServer({
    databaseUrl: database.url,
    adminKey,
    env: {
      MODEL_UPSTREAMS: JSON.stringify([{ name: "dev", base_url: `${model.url}/v1`, key_secret: "dev" }]),
      ModelUpstreamKeys: JSON.stringify({ dev: "the-providers-key" }),
      ModelGatewayKey: gatewayKey,
      LETTA_API_URL: `http://127.0.0.1:${lettaPort}`,
      LettaApiKey: password,
    },
  });
  letta = await startOwnLetta(lettaPort, password, `${server.url}/internal/models/v1`, gatewayKey);
  org = await newOrganization({ url: server.url, adminKey, databaseUrl: database.url, adminUrl: database.adminUrl });
  const made = await ok(
    org.call<{ letta_id: string }>("POST", "/agents", {
      name: "Ada",
      system_prompt: "You are Ada.",
      tools: ["memory_insert", "archival_memory_insert"],
      model: "openai-proxy/dev",
    }),
  );
  agent = made.letta_id;
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

/** What Letta says to a message, in each of its two ways of asking its model. */
const FORMS: [string, (content: string) => Promise<LettaMessage[]>][] = [
  [
    "whole steps",
    async (content) => {
      const body = { messages: [{ role: "user", content }] };
      return (await letta.call<{ messages: LettaMessage[] }>("POST", `/v1/agents/${agent}/messages`, { user, body }))
        .messages;
    },
  ],
  [
    "tokens",
    (content) => {
      const body = { messages: [{ role: "user", content }], stream_tokens: true };
      return letta.stream(`/v1/agents/${agent}/messages/stream`, { user, body });
    },
  ],
];

function said(messages: LettaMessage[]): string {
  return messages.map(({ message_type, content }) => (message_type === "assistant_message" ? content : "")).join("");
}

describe("a real Letta behind the gateway", () => {
  it("offers the gateway's models, and the gateway's alone (LET-4)", async () => {
    const models = await letta.call<{ handle: string }[]>("GET", "/v1/models/", { user });
    const handles = models.map(({ handle }) => handle).filter((handle) => !handle.startsWith("letta/"));
    const own = await ok(org.call<{ models: { model: string }[] }>("GET", "/models"));
    expect(handles.sort()).toEqual(own.models.map((entry) => entry.model).sort());
    expect(handles).toContain("openai-proxy/dev");
  });

  it.each(FORMS)("converses, asked for %s (LET-4)", async (_form, tell) => {
    expect(said(await tell("!say one two three"))).toBe("one two three");
    expect(said(await tell("!tokens 40"))).toBe(Array.from({ length: 40 }, (_, at) => at + 1).join(" "));
  });

  it.each(FORMS)("calls a tool and goes on with its return, asked for %s (LET-4)", async (form, tell) => {
    const fact = `likes ${form}`;
    const messages = await tell(`!tool memory_insert {"label":"human","new_string":"${fact}"}`);
    const call = messages.filter(({ message_type }) => message_type === "tool_call_message");
    expect(call.map((piece) => piece.tool_call?.name ?? "").join("")).toBe("memory_insert");
    expect(JSON.parse(call.map((piece) => piece.tool_call?.arguments ?? "").join(""))).toMatchObject({
      new_string: fact,
    });
    expect(messages.find(({ message_type }) => message_type === "tool_return_message")).toMatchObject({
      status: "success",
    });
    expect(said(messages)).not.toBe("");
    const blocks = await letta.call<{ value: string }[]>("GET", `/v1/agents/${agent}/core-memory/blocks`, { user });
    expect(blocks.map(({ value }) => value).join()).toContain(fact);
  });

  it.each(FORMS)("is told a provider's refusal by its kind, asked for %s", async (_form, tell) => {
    const told = await tell("!error 401").then(JSON.stringify, String);
    expect(told).toMatch(/llm_authentication|Authentication/i);
    expect(told).not.toContain("the-providers-key");
  });

  it("stores passages by embeddings from the gateway (LET-4)", async () => {
    const [, tell] = FORMS[0] as (typeof FORMS)[0];
    const messages = await tell('!tool archival_memory_insert {"content":"the sea is deep"}');
    expect(messages.find(({ message_type }) => message_type === "tool_return_message")).toMatchObject({
      status: "success",
    });
    expect((await model.requests()).some(({ body }) => "input" in body)).toBe(true);
  });

  it("asks the provider for streams only, once for each step (SSE-2)", async () => {
    const chats = (await model.requests()).filter(({ body }) => "messages" in body);
    expect(chats.length).toBeGreaterThan(8);
    expect(chats.filter(({ body }) => body.stream !== true)).toEqual([]);
    expect(chats.filter(({ status }) => status === 401)).toHaveLength(FORMS.length); // neither side asked again
  });
});
