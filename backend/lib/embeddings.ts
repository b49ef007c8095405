/** What is asked of an OpenAI-compatible `/embeddings` endpoint for the search by meaning, and how its answer is read. */

/** Dimensions of the column that holds them; a model that cannot give these cannot be used. */
export const EMBEDDING_DIMENSIONS = 1536;
const MODEL_DEFAULT = "text-embedding-3-small";
/** Longer texts are cut: an embedding speaks of what a text is about, and models refuse more than some 8 000 tokens. */
const TEXT_CHARS_MAX = 16_000;

/** Whether there is an endpoint to ask. Without one messages are searched by words alone, and no jobs are made for them. */
export function embeddingsConfigured(): boolean {
  return Boolean(process.env.EMBEDDINGS_API_BASE);
}

export function embeddingsRequest(texts: string[]): { model: string; input: string[]; dimensions: number } {
  return {
    model: process.env.EMBEDDINGS_MODEL ?? MODEL_DEFAULT,
    input: texts.map((text) => text.slice(0, TEXT_CHARS_MAX)),
    dimensions: EMBEDDING_DIMENSIONS,
  };
}

/** The vector of each text, in order. Throws when the answer is not so many vectors of the dimensions that were asked for. */
export function readEmbeddings(answer: unknown, texts: number, dimensions: number): number[][] {
  const { data } = (answer ?? {}) as { data?: { index: number; embedding: number[] }[] };
  const vectors = (data ?? []).toSorted((a, b) => a.index - b.index).map((row) => row.embedding);
  if (vectors.length !== texts || vectors.some((vector) => vector.length !== dimensions)) {
    throw new Error(`the embeddings endpoint did not answer ${dimensions} dimensions for each text`);
  }
  return vectors;
}

/** A vector as pgvector reads it. */
export function toVector(embedding: number[]): string {
  return `[${embedding.join(",")}]`;
}
