import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { embed } from "../src/index";
import { startClient } from "./client";

const client = await startClient();
afterAll(() => client.server.close());

interface Embeddings {
  data: { index: number; embedding: number[] | string }[];
  usage: { prompt_tokens: number };
}

async function ask(body: object): Promise<Embeddings> {
  return (
    await client.post("/v1/embeddings", { model: "text-embedding-3-small", ...body })
  ).json() as Promise<Embeddings>;
}

function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

describe("embeddings", () => {
  it("have the model's dimensions, or those asked for", async () => {
    expect((await ask({ input: "a" })).data[0]?.embedding).toHaveLength(1536);
    expect((await ask({ input: "a", model: "text-embedding-3-large" })).data[0]?.embedding).toHaveLength(3072);
    expect((await ask({ input: ["a", "b"], dimensions: 64 })).data.map((item) => item.embedding.length)).toEqual([
      64, 64,
    ]);
  });

  it("come as floats and as base64 with the same values", async () => {
    const floats = (await ask({ input: "shade plants" })).data[0]?.embedding as number[];
    const bytes = Buffer.from(
      (await ask({ input: "shade plants", encoding_format: "base64" })).data[0]?.embedding as string,
      "base64",
    );
    expect([...new Float32Array(new Uint8Array(bytes).buffer)]).toEqual(floats);
  });

  it("are near for texts that share words, and survive a typing error", () => {
    const query = embed("which plants survive in shade", 1536);
    const near = cosine(query, embed("plants that survive deep shade", 1536));
    const typo = cosine(query, embed("wich plants survve in shade", 1536));
    const far = cosine(query, embed("invoice overdue since Tuesday", 1536));
    expect(near).toBeGreaterThan(0.4);
    expect(typo).toBeGreaterThan(0.5);
    expect(Math.abs(far)).toBeLessThan(0.15);
  });

  it("are of length 1 for every text, and equal for equal texts", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.constantFrom(1, 8, 1536), (text, dimensions) => {
        const vector = embed(text, dimensions);
        expect(cosine(vector, vector)).toBeCloseTo(1, 4);
        expect(embed(text, dimensions)).toEqual(vector);
      }),
    );
  });

  it("refuse dimensions and inputs that make no sense", async () => {
    for (const body of [{ input: "a", dimensions: 0 }, { input: [] }, { input: { a: 1 } }, {}]) {
      expect((await client.post("/v1/embeddings", body)).status).toBe(400);
    }
  });
});
