/** One answer reads at most so much and so long: a stream has no end. */
const BYTES_MAX = 4 << 20;
const STREAM_MS = 1_200;
const ANSWER_MS_MAX = 30_000;

/** Of an answer's headers, what differs from one to the next by nature. */
const OWN_TO_EACH = new Set(["date", "x-request-id", "x-correlation-id", "traceparent", "x-encore-trace-id", "etag"]);

export interface Request {
  method: string;
  path: string;
  /** An API key, or null for none. */
  key: string | null;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Answer {
  status: number;
  /** Names and values, a line each, without those that differ by nature. */
  headers: string;
  text: string;
}

/** Sends one request as any client would, and reads its answer; of a stream, what comes at first. */
export async function send(url: string, { method, path, key, body, headers = {} }: Request): Promise<Answer> {
  const ended = new AbortController();
  const late = setTimeout(() => ended.abort(), ANSWER_MS_MAX);
  try {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      redirect: "manual",
      signal: ended.signal,
    });
    const isStream = (response.headers.get("content-type") ?? "").startsWith("text/event-stream");
    return { status: response.status, headers: headersOf(response), text: await textOf(response, isStream) };
  } finally {
    clearTimeout(late);
    ended.abort();
  }
}

function headersOf(response: Response): string {
  return [...response.headers]
    .filter(([name]) => !OWN_TO_EACH.has(name))
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}

async function textOf(response: Response, isStream: boolean): Promise<string> {
  const reader = response.body?.getReader();
  if (!reader) return "";
  const decoder = new TextDecoder();
  let text = "";
  let late: NodeJS.Timeout | undefined;
  const over = new Promise<{ done: true; value?: undefined }>((resolve) => {
    if (isStream) late = setTimeout(() => resolve({ done: true }), STREAM_MS);
  });
  try {
    while (text.length < BYTES_MAX) {
      const { done, value } = await Promise.race([reader.read(), over]);
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    clearTimeout(late);
    await reader.cancel().catch(() => undefined);
  }
  return text;
}

/** A call that prepares the ground and so has to work. */
export async function must<T>(url: string, request: Request): Promise<T> {
  const { status, text } = await send(url, request);
  if (status !== 200) throw new Error(`${request.method} ${request.path} answered ${status}: ${text.slice(0, 500)}`);
  return JSON.parse(text) as T;
}
