import { describe, expect, it } from "vitest";
import { requestBody } from "../requests/request-body";
import { readUpstreams } from "./upstreams";

const named = (...list: object[]) => readUpstreams({ MODEL_UPSTREAMS: JSON.stringify(list) });

describe("upstreams", () => {
  it("are the providers whose keys are there, the embeddings' endpoint, else the dev model (RUN-1)", () => {
    const names = (env: Record<string, string>) => readUpstreams(env).map(({ name, baseUrl }) => `${name} ${baseUrl}`);
    expect(names({ OPENAI_API_KEY: "k", ANTHROPIC_API_KEY: "k", DEV_MODEL_URL: "http://d:1" })).toEqual([
      "openai https://api.openai.com/v1",
      "anthropic https://api.anthropic.com/v1",
    ]);
    expect(names({ OPENAI_API_BASE: "http://gpu:8000/v1/" })).toEqual(["openai http://gpu:8000/v1"]);
    expect(names({ DEV_MODEL_URL: "http://d:1", EMBEDDINGS_API_BASE: "http://e:2/v1" })).toEqual([
      "embeddings http://e:2/v1",
      "dev http://d:1/v1",
    ]);
    expect(names({})).toEqual([]);
  });

  it("ask a provider for its key, and no server of one's own", () => {
    const needs = (env: Record<string, string>) => readUpstreams(env).map(({ needsKey }) => needsKey);
    expect(needs({ OPENAI_API_KEY: "k" })).toEqual([true]);
    expect(needs({ OPENAI_API_BASE: "https://gpu.example/v1" })).toEqual([false]);
  });

  it("say whether they are asked ahead, and what a turn may lose on it (SSE-2)", () => {
    const askAhead = (...said: unknown[]) =>
      named(...said.map((ask_ahead, n) => ({ name: `u${n}`, base_url: "http://u:1", ask_ahead }))).map(
        (u) => u.askAhead,
      );
    expect(askAhead(undefined, true, false, { usd_max: 0.002 })).toEqual([null, null, false, { usdMax: 0.002 }]);
    for (const wrong of ["no", {}, { usd_max: -1 }, null]) expect(() => askAhead(wrong)).toThrow(/ask_ahead/);
  });

  it("are read from MODEL_UPSTREAMS with models, names of keys and prices", () => {
    const models = ["a", { id: "b", model: "b-2026", price: { prompt: 1, completion: 2 } }];
    const [upstream] = named({
      name: "one",
      base_url: "https://one.example/v1/",
      key_secret: "k",
      models,
      omit: ["user"],
    });
    expect(upstream).toMatchObject({
      baseUrl: "https://one.example/v1",
      keySecret: "k",
      needsKey: true,
      embeddings: true,
      models: [
        { id: "a", model: "a", price: null },
        { id: "b", model: "b-2026", price: { prompt: 1, completion: 2, cachedPrompt: 1 } },
      ],
    });
  });

  it.each([
    ["[]", "list"],
    ["{", "list"],
    ['[{"name":"One","base_url":"http://a"}]', "name"],
    ['[{"name":"one","base_url":"ftp://a"}]', "base_url"],
    ['[{"name":"one","base_url":"http://key@a"}]', "base_url"],
    ['[{"name":"one","base_url":"http://a","keys":1}]', '"keys" is no field'],
    ['[{"name":"one","base_url":"http://a","models":[{}]}]', "a model is"],
    ['[{"name":"one","base_url":"http://a","price":{"prompt":-1}}]', "price"],
    ['[{"name":"one","base_url":"http://a"},{"name":"one","base_url":"http://b"}]', "twice"],
  ])("are refused with a sentence: %s", (text, words) => {
    expect(() => readUpstreams({ MODEL_UPSTREAMS: text })).toThrow(words);
  });

  it("are sent a stream in their own words", () => {
    const [upstream] = named({ name: "one", base_url: "http://a", omit: ["stream_options"] });
    if (!upstream) throw new Error("none");
    const body = { model: "a", messages: [], temperature: 0.7, stream: false, user: "u" };
    expect(JSON.parse(requestBody(body, upstream, "b"))).toEqual({ ...body, model: "b", stream: true });
    expect(JSON.parse(requestBody(body, upstream, "gpt-5-mini"))).not.toHaveProperty("temperature");
    const fast = requestBody({ ...body, service_tier: "priority" }, upstream, "grok-4-fast");
    expect(JSON.parse(fast)).not.toHaveProperty("service_tier");
  });
});
