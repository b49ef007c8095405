import { Fault } from "../fault";

const REQUEST_TIMEOUT_MS = 60_000; // the first agent of an organization also makes that organization in Letta

/** Graphyn's public HTTP API, as any client uses it. */
export interface Api {
  readonly url: string;
  readonly key: string;
}

/** Encore's error body with Graphyn's details. */
interface Problem {
  readonly code?: string;
  readonly message?: string;
  readonly details?: { readonly reason?: string; readonly hint?: string } | null;
}

/** Calls one endpoint and returns its answer. @throws Fault with the server's own sentence and hint. */
export async function call<T>(
  api: Api,
  method: "GET" | "POST" | "DELETE",
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<T> {
  const response = await fetch(api.url + path, {
    method,
    headers: { authorization: `Bearer ${api.key}`, "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  }).catch((error: unknown) => {
    throw new Fault(
      `${method} ${path} got no answer from ${api.url}: ${reasonOf(error)}.`,
      "See ./graphyn status and ./graphyn logs graphyn.",
    );
  });
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as T;
  throw new Fault(
    `${method} ${path}: ${explain(response.status, text)}`,
    hintOf(text) ?? "See ./graphyn logs graphyn.",
  );
}

function explain(status: number, text: string): string {
  const problem = parse(text);
  return problem.message
    ? `${problem.message} (${problem.details?.reason ?? problem.code ?? status})`
    : `status ${status}`;
}

function hintOf(text: string): string | undefined {
  return parse(text).details?.hint;
}

function parse(text: string): Problem {
  try {
    return JSON.parse(text) as Problem;
  } catch {
    return {};
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}
