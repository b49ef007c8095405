/** What the suites of the dev model share: a running server and a small client over real HTTP. */
import { type DevModelOptions, startDevModel } from "../src/index";

export interface Chunk {
  choices: { delta: Delta; finish_reason: string | null }[];
  usage?: { prompt_tokens: number; completion_tokens: number; total_tokens: number } | null;
}

interface Delta {
  role?: string;
  content?: string;
  tool_calls?: { index: number; id?: string; function: { name?: string; arguments: string } }[];
}

export const user = (content: string) => ({ role: "user", content });
export const system = (content: string) => ({ role: "system", content });

export async function startClient(options: Partial<DevModelOptions> = {}) {
  const server = await startDevModel({ port: 0, ...options });
  const post = (path: string, body: object, signal?: AbortSignal) =>
    fetch(`${server.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: signal ?? null,
    });
  const chat = (model: string, messages: object[], more: object = {}) =>
    post("/v1/chat/completions", { model, messages, ...more });
  return {
    server,
    post,
    chat,
    get: async (path: string) => (await fetch(`${server.url}${path}`)).json() as Promise<never>,
    /** The whole answer's message, finish reason and usage. */
    async whole(model: string, messages: object[], more: object = {}) {
      const response = await chat(model, messages, more);
      const body = (await response.json()) as {
        choices: [{ message: { content: string | null; tool_calls?: never }; finish_reason: string }];
        usage: NonNullable<Chunk["usage"]>;
      };
      return { ...body.choices[0], usage: body.usage };
    },
    /** The raw text of a streamed answer, and its chunks. */
    async stream(model: string, messages: object[], more: object = {}) {
      const text = await (await chat(model, messages, { stream: true, ...more })).text();
      return { text, chunks: chunksOf(text), content: contentOf(chunksOf(text)) };
    },
  };
}

export function chunksOf(text: string): Chunk[] {
  return text
    .split("\n\n")
    .filter((event) => event.startsWith("data: {"))
    .map((event) => JSON.parse(event.slice("data: ".length)) as Chunk);
}

export function contentOf(chunks: Chunk[]): string {
  return chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
}
