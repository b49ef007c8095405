/**
 * Deterministic embeddings: words and character trigrams hashed into a signed, L2-normalized vector, so that texts that share words
 * are near and typing errors stay close. Nothing is learned: synonyms are far apart.
 */
import { invalidRequest } from "./errors";
import { EMBEDDING_DIMENSIONS_MAX, EMBEDDING_INPUTS_MAX } from "./limits";
import { asString, type JsonObject } from "./request";
import { estimateTokens } from "./tokens";

const DIMENSIONS: Record<string, number> = {
  "text-embedding-3-small": 1536,
  "text-embedding-ada-002": 1536,
  "text-embedding-3-large": 3072,
};
const DIMENSIONS_DEFAULT = 1536;
const WORD_WEIGHT = 1;
const TRIGRAM_WEIGHT = 0.35;
/** Words this short are mostly articles and prepositions and say little about what a text is about. */
const SHORT_WORD_CHARACTERS = 3;
const SHORT_WORD_WEIGHT = 0.25;

/** `POST /v1/embeddings`: `{model, input, dimensions?, encoding_format?: "float" | "base64"}`, as OpenAI answers it. */
export function embeddings(body: JsonObject): object {
  const model = asString(body.model) ?? "text-embedding-3-small";
  const inputs = readInputs(body.input);
  const dimensions = body.dimensions ?? DIMENSIONS[model] ?? DIMENSIONS_DEFAULT;
  if (
    typeof dimensions !== "number" ||
    !Number.isInteger(dimensions) ||
    dimensions < 1 ||
    dimensions > EMBEDDING_DIMENSIONS_MAX
  ) {
    throw invalidRequest(`dimensions must be a whole number from 1 to ${EMBEDDING_DIMENSIONS_MAX}`, "dimensions");
  }
  const tokens = inputs.reduce((sum, input) => sum + estimateTokens(input), 0);
  return {
    object: "list",
    model,
    data: inputs.map((input, index) => {
      const vector = embed(input, dimensions);
      return {
        object: "embedding",
        index,
        embedding: body.encoding_format === "base64" ? base64(vector) : [...vector],
      };
    }),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** The vector of a text, of length 1. An empty text is the first axis, since a null vector has no direction. */
export function embed(text: string, dimensions: number): Float32Array {
  const sums = new Map<string, number>();
  const add = (feature: string, weight: number) => sums.set(feature, (sums.get(feature) ?? 0) + weight);
  for (const word of text
    .normalize("NFKC")
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu) ?? []) {
    const weight = word.length <= SHORT_WORD_CHARACTERS ? SHORT_WORD_WEIGHT : WORD_WEIGHT;
    add(`w:${word}`, weight);
    const padded = ` ${word} `;
    for (let i = 0; i + 3 <= padded.length; i++) add(`t:${padded.slice(i, i + 3)}`, weight * TRIGRAM_WEIGHT);
  }
  const vector = new Float64Array(dimensions);
  for (const [feature, sum] of sums) {
    const hash = fnv1a(feature);
    const at = hash % dimensions;
    // The square root keeps a word said ten times from drowning the rest.
    vector[at] = (vector[at] ?? 0) + (hash & 0x80000000 ? -1 : 1) * Math.sqrt(sum);
  }
  const length = Math.hypot(...vector);
  if (length === 0) {
    vector[0] = 1;
    return Float32Array.from(vector);
  }
  return Float32Array.from(vector, (value) => value / length);
}

/** FNV-1a, 32 bits, over UTF-16 units, with a final mix so that the lowest bits serve as an index. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function base64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}

function readInputs(input: unknown): string[] {
  const list: unknown[] = Array.isArray(input) && typeof input[0] !== "number" ? input : [input];
  if (list.length === 0 || list.length > EMBEDDING_INPUTS_MAX) {
    throw invalidRequest(`input takes 1 to ${EMBEDDING_INPUTS_MAX} texts`, "input");
  }
  return list.map((item) => {
    if (typeof item === "string") return item;
    if (Array.isArray(item) && item.every((token) => typeof token === "number")) return item.join(" ");
    throw invalidRequest("input must be a text, a list of texts, or token numbers", "input");
  });
}
