import { beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { ok, type TestOrganization } from "../harness/organization";
import { type BehindGateway, behindGateway, type LettaMessage, START_MS_MAX } from "./behind-gateway";

let behind: BehindGateway;
let letta: BehindGateway["letta"];
let org: TestOrganization;
let agent: string;

beforeAll(async () => {
  behind = await behindGateway();
  ({ letta, org } = behind);
  agent = (await behind.agent("dev", { tools: ["memory_insert", "archival_memory_insert"] })).letta_id;
}, START_MS_MAX);

/** What Letta says to a message, in each of its two ways of asking its model. */
const FORMS: [string, (content: string) => Promise<LettaMessage[]>][] = [
  [
    "whole steps",
    async (content) => {
      const body = { messages: [{ role: "user", content }] };
      return (await letta.call<{ messages: LettaMessage[] }>("POST", `/v1/agents/${agent}/messages`, body)).messages;
    },
  ],
  [
    "tokens",
    (content) => {
      const body = { messages: [{ role: "user", content }], stream_tokens: true };
      return letta.stream(`/v1/agents/${agent}/messages/stream`, body);
    },
  ],
];

function said(messages: LettaMessage[]): string {
  return messages.map(({ message_type, content }) => (message_type === "assistant_message" ? content : "")).join("");
}

describe("a real Letta behind the gateway", () => {
  it("offers the gateway's models, and the gateway's alone (LET-4)", async () => {
    const models = await letta.call<{ handle: string }[]>("GET", "/v1/models/");
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
    const blocks = await letta.call<{ value: string }[]>("GET", `/v1/agents/${agent}/core-memory/blocks`);
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
    expect((await behind.asked("the sea is deep")).some(({ body }) => "input" in body)).toBe(true);
    const accounted = await adminQuery<{ prompt_tokens: number }>(
      behind.stack.adminUrl,
      "select prompt_tokens from model_calls where org_id = $1 and purpose = 'embedding' and upstream = 'dev'",
      [behind.org.orgId],
    );
    expect(accounted.map(({ prompt_tokens }) => prompt_tokens > 0)).toContain(true);
  });

  it("asks the provider for streams only, once for each step (SSE-2)", async () => {
    const chats = (await behind.asked(agent)).filter(({ body }) => "messages" in body);
    expect(chats.length).toBeGreaterThan(8);
    expect(chats.filter(({ body }) => body.stream !== true)).toEqual([]);
    expect(chats.filter(({ status }) => status === 401)).toHaveLength(FORMS.length); // neither side asked again
  });
});
