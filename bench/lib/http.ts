/** The HTTP client all arms share: one keep-alive pool per server, so that no arm pays for a connection that another has open. */
import { createParser } from "eventsource-parser";
import { Pool } from "undici";
import type { Sample } from "./arms";

export interface Api {
  pool: Pool;
  headers: Record<string, string>;
}

export interface StreamEvent {
  event: string | undefined;
  data: string;
}

/** Below the 5 s after which uvicorn closes an idle connection. */
const KEEP_ALIVE_MS = 4_000;
const CONNECTIONS_MAX = 64; // 20 at once, each with a stream and a request
const ANSWER_MS_MAX = 60_000;
const ERROR_CHARACTERS_MAX = 400;

export function connect(url: string, headers: Record<string, string> = {}): Api {
  return {
    pool: new Pool(url, {
      connections: CONNECTIONS_MAX,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: ANSWER_MS_MAX,
      bodyTimeout: ANSWER_MS_MAX,
    }),
    headers,
  };
}

/** A JSON request. Throws with status and the beginning of the body when it is not answered 2xx. */
export async function call<T>(api: Api, method: "GET" | "POST" | "DELETE", path: string, body?: object): Promise<T> {
  const response = await api.pool.request({
    method,
    path,
    headers: { ...api.headers, ...(body && { "content-type": "application/json" }) },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.body.text();
  if (response.statusCode >= 300) {
    throw new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, ERROR_CHARACTERS_MAX)}`);
  }
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/**
 * POSTs and reads the event stream that answers. The clock starts before the request is written and notes when the bytes of
 * the first event with text arrived; `onEvent` hears every event and that time. A URLSearchParams is sent as a form. Throws when the stream ends without text.
 */
export async function postAndStream(
  api: Api,
  path: string,
  body: object,
  hasText: (event: StreamEvent) => boolean,
  onEvent?: (event: StreamEvent, arrived: number) => void,
): Promise<Sample> {
  const isForm = body instanceof URLSearchParams;
  const payload = isForm ? body.toString() : JSON.stringify(body);
  const begin = performance.now();
  const response = await api.pool.request({
    method: "POST",
    path,
    headers: { ...api.headers, "content-type": isForm ? "application/x-www-form-urlencoded" : "application/json" },
    body: payload,
  });
  if (response.statusCode !== 200) {
    throw new Error(
      `POST ${path}: ${response.statusCode} ${(await response.body.text()).slice(0, ERROR_CHARACTERS_MAX)}`,
    );
  }
  let firstText: number | null = null;
  let arrived = 0;
  let failure: string | null = null;
  const parser = createParser({
    onEvent: ({ event, data }) => {
      onEvent?.({ event, data }, arrived);
      if (firstText !== null) return;
      if (data.includes('"error_message"')) failure ??= data;
      if (hasText({ event, data })) firstText = arrived;
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    arrived = performance.now();
    if (firstText === null || onEvent) parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
  }
  if (firstText === null)
    throw new Error(`POST ${path}: no text came. ${(failure ?? "").slice(0, ERROR_CHARACTERS_MAX)}`);
  return { first_text_ms: firstText - begin, total_ms: performance.now() - begin };
}
