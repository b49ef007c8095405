import { describe, expect, it } from "vitest";
import { chooseHandle, chooseModels } from "./models";

const DEV = "http://127.0.0.1:8284/v1";
const GATEWAY = { base: "http://127.0.0.1:4000/internal/models/v1", key: "gateway" };
const GATEWAY_ENV = { OPENAI_API_KEY: GATEWAY.key, OPENAI_API_BASE: GATEWAY.base };

describe("models", () => {
  it("are the dev model when no provider is named, and it says that it is none (RUN-1)", () => {
    const models = chooseModels({}, DEV);
    expect(models).toMatchObject({ usesDevModel: true, needsDevModel: true, embeddingsBase: DEV });
    expect(models.lettaEnv.OPENAI_API_BASE).toBe(DEV);
    expect(models.description).toContain("no language model");
  });

  it("are the user's OpenAI-compatible provider, embeddings included (RUN-1)", () => {
    const models = chooseModels({ OPENAI_API_BASE: "http://gpu:8000/v1" }, DEV);
    expect(models).toMatchObject({ usesDevModel: false, needsDevModel: false, embeddingsBase: "http://gpu:8000/v1" });
    expect(models.description).toBe("gpu:8000");
  });

  it("keep the dev model for embeddings beside Anthropic, which has none (RUN-1)", () => {
    const models = chooseModels({ ANTHROPIC_API_KEY: "key" }, DEV);
    expect(models).toMatchObject({ usesDevModel: false, needsDevModel: true, embeddingsBase: DEV });
    expect(models.lettaEnv).toMatchObject({ ANTHROPIC_API_KEY: "key", OPENAI_API_BASE: DEV });
    expect(models.description).toContain("embeddings by the dev model");
  });

  it("take embeddings from an endpoint of their own where one is named (RUN-1)", () => {
    const own = { ANTHROPIC_API_KEY: "key", EMBEDDINGS_API_BASE: "https://e.example/v1", EMBEDDINGS_API_KEY: "other" };
    expect(chooseModels(own, DEV)).toMatchObject({ embeddingsBase: "https://e.example/v1", embeddingsKey: "other" });
    expect(chooseModels({ ...own, EMBEDDINGS_API_KEY: "" }, DEV).embeddingsKey).toBe("none");
  });

  it("prefer what the user named, then the provider's own, and never Letta's hosted ones", () => {
    const listed = ["letta/letta-free", "openai-proxy/dev", "anthropic/claude-haiku-4-5"];
    expect(chooseHandle(chooseModels({ ANTHROPIC_API_KEY: "key" }, DEV).preferredHandles, listed)).toBe(
      "anthropic/claude-haiku-4-5",
    );
    expect(chooseHandle(chooseModels({ GRAPHYN_MODEL: "openai-proxy/dev" }, DEV).preferredHandles, listed)).toBe(
      "openai-proxy/dev",
    );
    expect(chooseHandle([], ["letta/letta-free"])).toBeUndefined();
  });
});

describe("models behind the gateway", () => {
  it("keep the providers' keys from Letta, which gets the gateway's only (SEC-1)", () => {
    const own = { OPENAI_API_KEY: "sk-o", ANTHROPIC_API_KEY: "sk-a" };
    const models = chooseModels(own, DEV, GATEWAY);
    expect(models.lettaEnv).toEqual(GATEWAY_ENV);
    expect(models.graphynEnv).toEqual({ GRAPHYN_TURN_SOURCE: "gateway", ...own });
    expect(models.addresses).toEqual([GATEWAY.base]);
  });

  it("are the dev model when no provider is named, and embeddings stay with it (RUN-1)", () => {
    const models = chooseModels({}, DEV, GATEWAY);
    expect(models).toMatchObject({ usesDevModel: true, needsDevModel: true, usesGateway: true, embeddingsBase: DEV });
    expect(models.graphynEnv).toEqual({ GRAPHYN_TURN_SOURCE: "gateway", DEV_MODEL_URL: "http://127.0.0.1:8284" });
    expect(models.preferredHandles).toEqual(["openai-proxy/dev"]);
  });

  it("all have the handles of one OpenAI-compatible endpoint, also when the user names one as Letta would (RUN-1)", () => {
    const { preferredHandles } = chooseModels({ ANTHROPIC_API_KEY: "key" }, DEV, GATEWAY);
    expect(chooseHandle(preferredHandles, ["openai-proxy/x", "openai-proxy/claude-haiku-4-5"])).toBe(
      "openai-proxy/claude-haiku-4-5",
    );
    const named = { ANTHROPIC_API_KEY: "key", GRAPHYN_MODEL: "anthropic/claude-opus-4-1" };
    expect(chooseModels(named, DEV, GATEWAY).named).toBe("openai-proxy/claude-opus-4-1");
    expect(chooseModels(named, DEV).named).toBe("anthropic/claude-opus-4-1");
  });

  it("are those of MODEL_UPSTREAMS where it is set: no dev model, and embeddings by the gateway (RUN-1)", () => {
    const models = chooseModels({ MODEL_UPSTREAMS: "[…]", OPENAI_API_KEY: "key" }, DEV, GATEWAY);
    expect(models).toMatchObject({ usesDevModel: false, needsDevModel: false, providers: [] });
    expect(models).toMatchObject({ embeddingsBase: GATEWAY.base, embeddingsKey: GATEWAY.key });
    expect(chooseModels({ MODEL_UPSTREAMS: "[…]" }, DEV)).toMatchObject({ usesDevModel: true }); // the relay knows none
  });

  it("without it leave Graphyn without keys, on the relay (SEC-1)", () => {
    expect(chooseModels({ OPENAI_API_KEY: "sk-o" }, DEV).graphynEnv).toEqual({ GRAPHYN_TURN_SOURCE: "relay" });
  });
});
