import { describe, expect, it } from "vitest";
import { chooseHandle, chooseModels } from "./models";

const DEV = "http://127.0.0.1:8284/v1";

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
