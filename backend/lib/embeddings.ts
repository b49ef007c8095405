/** Texts as vectors, from any OpenAI-compatible `/embeddings` endpoint. */

/** Dimensions of the column that holds them; a model that cannot give these cannot be used. */
export const EMBEDDING_DIMENSIONS = 1536;
const MODEL_DEFAULT = "text-embedding-3-small";
/** Longer texts are cut: an embedding speaks of what a text is about, and models refuse more than some 8 000 tokens. */
const TEXT_CHARS_MAX = 16_000;

interface EmbeddingOptions {
  /** Key of the endpoint. */
  apiKey: string;
  timeoutMs: number;
}

/** Whether there is an endpoint to ask. Without one messages are searched by words alone, and no jobs are made for them. */
export function embeddingsConfigured(): boolean {
  return Boolean(process.env.EMBEDDINGS_API_BASE);
}

/** The embedding of each text, in order. Throws when the endpoint is not configured, does not answer in time, or answers rubbish. */
export async function embed(texts: string[], { apiKey, timeoutMs }: EmbeddingOptions): Promise<number[][]> {
  const base = process.env.EMBEDDINGS_API_BASE;
  if (!base) throw new Error("EMBEDDINGS_API_BASE is not set: no embeddings");
  const response = await fetch(`${base.replace(/\/$/, "")}/embeddings`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({
      model: process.env.EMBEDDINGS_MODEL ?? MODEL_DEFAULT,
      input: texts.map((text) => text.slice(0, TEXT_CHARS_MAX)),
      dimensions: EMBEDDING_DIMENSIONS,
    }),
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`the embeddings endpoint answered ${response.status}`);
  }
  const { data } = (await response.json()) as { data?: { index: number; embedding: number[] }[] };
  const vectors = (data ?? []).toSorted((a, b) => a.index - b.index).map((row) => row.embedding);
  if (vectors.length !== texts.length || vectors.some((vector) => vector.length !== EMBEDDING_DIMENSIONS)) {
    throw new Error(`the embeddings endpoint did not answer ${EMBEDDING_DIMENSIONS} dimensions for each text`);
  }
  return vectors;
}

/** A vector as pgvector reads it. */
export function toVector(embedding: number[]): string {
  return `[${embedding.join(",")}]`;
}
