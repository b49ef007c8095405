import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../letta/stack";
import { type Gateway, newDevModel, newProvider, numbers, startGateway, whole } from "./gateway";

type Model = Awaited<ReturnType<typeof newDevModel>>;
let first: Model;
let second: Model;
let gateway: Gateway;

/** What an id is at the first and at the second upstream. */
const MODELS: Record<string, [string | null, string | null]> = {
  plain: ["dev-n20", null],
  slow: ["dev-n600-r20", null],
  tool: ["dev-tool", null],
  empty: ["dev-empty", null],
  filter: ["dev-filter", null],
  limited: ["dev-error-429", null],
  unpaid: ["dev-error-402", null],
  "down-first": ["dev-error-503", "dev-n20"],
  "key-first": ["dev-error-401", "dev-n20"],
  "cut-first": ["dev-cut-0", "dev-n20"],
  "hang-first": ["dev-hang", "dev-n20"],
  "bad-request": ["dev-error-400", "dev-n20"],
  "cut-late": ["dev-cut-5", "dev-n20"],
  "garbage-late": ["dev-garbage", "dev-n20"],
  "stalls-late": ["dev-cut-600-n2-r1", null],
  silent: ["dev-hang", null],
};

function modelsOf(at: 0 | 1) {
  return Object.entries(MODELS).flatMap(([id, models]) => (models[at] ? [{ id, model: models[at] }] : []));
}

beforeAll(async () => {
  [first, second] = await Promise.all([newDevModel(), newDevModel()]);
  gateway = await startGateway(
    [
      { name: "first", base_url: `${first.url}/v1`, models: modelsOf(0) },
      { name: "second", base_url: `${second.url}/v1`, models: modelsOf(1), embeddings: false },
    ],
    { MODEL_FIRST_TOKEN_MS_MAX: "1500", MODEL_IDLE_MS_MAX: "600" },
  );
});
afterAll(async () => {
  await gateway?.server.stop();
  await Promise.all([first?.close(), second?.close()]);
});

async function asked(model: Model, id: string): Promise<number> {
  return (await model.requests(id)).length;
}

describe("Letta's request", () => {
  it("is answered whole, while the upstream is asked for a stream with its usage (SSE-2)", async () => {
    const { status, body } = await whole(await gateway.ask({ model: "plain" }));
    expect(status).toBe(200);
    expect(body).toMatchObject({
      object: "chat.completion",
      model: "plain",
      choices: [{ message: { role: "assistant", content: numbers(20) }, finish_reason: "stop" }],
      usage: { completion_tokens: 20 },
    });
    const [request] = (await first.requests("dev-n20")).slice(-1);
    expect(request?.body).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  });

  it("is answered as a stream when it asks for one, with the usage last if it wants it (SSE-2)", async () => {
    const ask = { model: "plain", stream: true, stream_options: { include_usage: true } };
    const response = await gateway.ask(ask);
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const events = (await response.text()).trim().split("\n\n");
    expect(events.at(-1)).toBe("data: [DONE]");
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event.slice("data: ".length)));
    expect(chunks[0].choices[0].delta).toEqual({ role: "assistant", content: "" });
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("")).toBe(numbers(20));
    expect(chunks.at(-2).choices[0].finish_reason).toBe("stop");
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 20 } });
    expect(await (await gateway.ask({ ...ask, stream_options: {} })).text()).not.toContain('"usage"');
  });

  it("gets tool calls in both forms", async () => {
    const tools = [{ type: "function", function: { name: "look", parameters: { type: "object", properties: {} } } }];
    const ask = { model: "tool", tools, messages: [{ role: "user", content: '!tool look {"at":1}' }] };
    const call = { type: "function", function: { name: "look", arguments: '{"at":1}' } };
    const { body } = await whole(await gateway.ask(ask));
    expect(body.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: { content: null, tool_calls: [call] },
    });
    const streamed = await (await gateway.ask({ ...ask, stream: true })).text();
    expect(streamed).toContain('"name":"look"');
    expect(streamed).toContain('"finish_reason":"tool_calls"');
  });

  it("has its tools in one order, whatever order Letta's database gave them: so a guess of it is equal, and a provider's cache holds (SSE-2)", async () => {
    const tools = ["b", "c", "a"].map((name) => ({ type: "function", function: { name, parameters: {} } }));
    for (const some of [tools, tools.toReversed()]) await whole(await gateway.ask({ model: "plain", tools: some }));
    const bodies = (await first.requests("dev-n20")).slice(-2).map(({ body }) => JSON.stringify(body));
    expect(bodies[0]).toBe(bodies[1]);
    expect(bodies[0]).toMatch(/"name":"a".*"name":"b".*"name":"c"/);
  });

  it.each([
    ["empty", "", "stop"],
    ["filter", expect.any(String), "content_filter"],
  ])("gets an answer that is %s as it is", async (model, content, finish) => {
    const { status, body } = await whole(await gateway.ask({ model }));
    expect(status).toBe(200);
    expect(body.choices[0]).toMatchObject({ message: { content }, finish_reason: finish });
  });

  it.each(["", "wrong", "0".repeat(32)])("is refused with the key %j, in OpenAI's form (SEC-1)", async (key) => {
    const { status, body } = await whole(await gateway.ask({ model: "plain" }, { key }));
    expect(status).toBe(401);
    expect(body.error).toMatchObject({ type: "authentication_error", code: "invalid_api_key" });
    for (const [method, path] of [
      ["GET", "models"],
      ["POST", "embeddings"],
    ] as const) {
      const response = await fetch(`${gateway.url}/internal/models/v1/${path}`, {
        method,
        headers: { authorization: `Bearer ${gateway.org.apiKey}` },
        ...(method === "POST" ? { body: "{}" } : {}),
      });
      expect(response.status).toBe(401);
    }
  });

  it("is refused when it is no chat request, or too large", async () => {
    expect((await gateway.ask({ model: "plain", messages: "hello" })).status).toBe(400);
    const { status, body } = await whole(
      await gateway.ask({ model: "plain", messages: [{ content: "x".repeat(17 << 20) }] }),
    );
    expect([status, body.error?.code]).toEqual([413, "bad_request"]);
  });
});

describe("an upstream that fails before the first token", () => {
  it.each(["down-first", "key-first", "cut-first", "hang-first"])(
    "is replaced by the second that serves the model: %s (SSE-2)",
    async (model) => {
      const before = await asked(second, "dev-n20");
      const { status, body } = await whole(await gateway.ask({ model }));
      expect([status, body.choices?.[0]?.message.content]).toEqual([200, numbers(20)]);
      expect(await asked(second, "dev-n20")).toBe(before + 1);
      expect(await asked(first, MODELS[model]?.[0] ?? "")).toBe(1);
    },
  );

  it("is asked again when it is the only one, a bounded number of times, and its error is told", async () => {
    const response = await gateway.ask({ model: "limited" });
    expect(response.headers.get("x-should-retry")).toBe("false");
    const { status, body } = await whole(response);
    expect(status).toBe(429);
    expect(body.error).toMatchObject({
      code: "rate_limit_exceeded",
      message: expect.stringMatching(/no more requests/),
    });
    expect(await asked(first, "dev-error-429")).toBe(3);
  });

  it("is not asked again for what will not change", async () => {
    expect((await gateway.ask({ model: "unpaid" })).status).toBe(402);
    expect(await asked(first, "dev-error-402")).toBe(1);
    const before = await asked(second, "dev-n20");
    expect((await gateway.ask({ model: "bad-request" })).status).toBe(400);
    expect(await asked(second, "dev-n20")).toBe(before);
  });

  it("is given up after the time for the first token, its request ended", async () => {
    const { status, body } = await whole(await gateway.ask({ model: "silent" }));
    expect([status, body.error?.code]).toEqual([504, "upstream_timeout"]);
    await until(async () => (await first.requests("dev-hang")).every(({ client_gone }) => client_gone));
  });

  it("answers 404 for a model that nobody serves", async () => {
    expect((await gateway.ask({ model: "gpt-none" })).status).toBe(404);
  });
});

describe("an upstream that fails after the first token", () => {
  it.each([
    ["cut-late", "dev-cut-5", "upstream_cut"],
    ["garbage-late", "dev-garbage", "upstream_bad_response"],
  ])("is not asked again, nor another: %s (SSE-6)", async (model, id, code) => {
    const before = await asked(second, "dev-n20");
    const response = await gateway.ask({ model, stream: true });
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).toContain(`"code":"${code}"`);
    expect(text).not.toContain("[DONE]");
    expect([await asked(first, id), await asked(second, "dev-n20")]).toEqual([1, before]);
  });

  it("is ended when it falls silent", async () => {
    const text = await (await gateway.ask({ model: "stalls-late", stream: true })).text();
    expect(text).toContain('"content":"1"');
    expect(text).toContain('"code":"upstream_timeout"');
  });
});

it("ends the upstream's request at once when Letta goes (SSE-6)", async () => {
  const controller = new AbortController();
  const response = await gateway.ask({ model: "slow", stream: true }, { signal: controller.signal });
  await response.body?.getReader().read();
  controller.abort();
  await until(async () => (await first.requests("dev-n600-r20")).some(({ client_gone }) => client_gone), 3_000);
  const [request] = await first.requests("dev-n600-r20");
  expect(request?.tokens_sent).toBeLessThan(100);
});

it("waits as long as an upstream wants to be left alone, when that is not long", async () => {
  let asks = 0;
  const provider = await newProvider((_req, resp) => {
    const limited = ++asks === 1;
    resp.writeHead(limited ? 429 : 200, { "content-type": "application/json", "retry-after": "1" });
    const message = { role: "assistant", content: "whole, although a stream was asked for" };
    resp.end(limited ? "{}" : JSON.stringify({ choices: [{ message, finish_reason: "stop" }] }));
  });
  const other = await startGateway([{ name: "one", base_url: provider.url, models: ["m"] }], {
    ModelUpstreamKeys: JSON.stringify({ one: "operator-key" }),
  });
  try {
    const { body } = await whole(await other.ask({ model: "m" }));
    expect(body.choices[0]?.message.content).toBe("whole, although a stream was asked for");
    expect(body.usage.total_tokens).toBeGreaterThan(0); // estimated: the provider told none
    expect(provider.seen.map(({ headers }) => headers.authorization)).toEqual(Array(2).fill("Bearer operator-key"));
    expect(other.server.output()).not.toContain("operator-key");
  } finally {
    await other.server.stop();
    await provider.close();
  }
});

it("asks upstreams that do not list their models all the same", async () => {
  const provider = await newProvider((req, resp) => {
    const isChat = req.url === "/chat/completions";
    resp.writeHead(isChat ? 200 : 404, { "content-type": "application/json" });
    resp.end(isChat ? JSON.stringify({ choices: [{ message: { content: "yes" }, finish_reason: "stop" }] }) : "{}");
  });
  const other = await startGateway([
    { name: "one", base_url: provider.url },
    { name: "two", base_url: `${second.url}/v1` },
  ]);
  try {
    const say = async (model: string) => (await whole(await other.ask({ model }))).body.choices[0]?.message.content;
    expect(await say("who-knows")).toBe("yes");
    expect(await say("dev-n20")).toBe(numbers(20)); // the second lists it
    expect(await say("two/dev-n5")).toBe(numbers(5)); // named, so not looked up
  } finally {
    await other.server.stop();
    await provider.close();
  }
});

describe("the gateway's list and embeddings", () => {
  const get = (path: string, init: RequestInit = {}) =>
    fetch(`${gateway.url}/internal/models/v1${path}`, { ...init, headers: { authorization: `Bearer ${gateway.key}` } });

  it("lists the models of all upstreams once", async () => {
    const { data } = (await (await get("/models")).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id).sort()).toEqual(Object.keys(MODELS).sort());
  });

  it("passes embeddings on to the upstream that makes them", async () => {
    const body = JSON.stringify({ model: "text-embedding-3-small", input: ["a", "b"] });
    const response = await get("/embeddings", { method: "POST", body });
    const { data } = (await response.json()) as { data: { embedding: number[] }[] };
    expect(data.map(({ embedding }) => embedding.length)).toEqual([1536, 1536]);
  });

  it("is in no public description (SEC-1)", async () => {
    const { paths } = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as { paths: object };
    expect(Object.keys(paths).filter((path) => path.startsWith("/internal"))).toEqual([]);
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(["/models", "/models/credentials/{upstream}"]));
  });
});
