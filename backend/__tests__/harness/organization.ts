import { inject } from "vitest";

export interface Answer<T> {
  status: number;
  body: T;
}

/** Encore's error body, with Graphyn's details. */
export interface Problem {
  code: string;
  message: string;
  details: { reason: string; hint: string; context?: Context | null; [more: string]: unknown };
}

export interface Context {
  thread: {
    id: string;
    title: string | null;
    type: string;
    state: string;
    turn_policy: string;
    coordinator_id: string | null;
    exchange_limits: { hops: number; turns: number; tokens: number };
  };
  participants: {
    id: string;
    kind: string;
    user_id: string | null;
    agent_id: string | null;
    name: string;
    role: string;
  }[];
  running_turns: { id: string; agent_id: string; state: string }[];
  last_seq: number;
  cursor: string;
  stream_url: string;
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

export interface TestOrganization {
  orgId: string;
  userId: string;
  apiKey: string;
  url: string;
  call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer<T>>;
}

/** An organization with an owner and a key, in the shared server or in `at`. */
export async function newOrganization(at = inject("graphyn"), name = "Test organization"): Promise<TestOrganization> {
  const made = await request<{ organization_id: string; user_id: string; api_key: string }>(
    at.url,
    "POST",
    "/organizations",
    { name, owner_name: "Owner" },
    { "x-admin-key": at.adminKey },
  );
  if (made.status !== 200) throw new Error(`no organization: ${made.status} ${JSON.stringify(made.body)}`);
  const { organization_id, user_id, api_key } = made.body;
  return {
    orgId: organization_id,
    userId: user_id,
    apiKey: api_key,
    url: at.url,
    call: (method, path, body, headers) =>
      request(at.url, method, path, body, { authorization: `Bearer ${api_key}`, ...headers }),
  };
}

/** The same organization, asked at another address. */
export function through(org: TestOrganization, url: string): TestOrganization {
  return {
    ...org,
    url,
    call: (method, path, body, headers) =>
      request(url, method, path, body, { authorization: `Bearer ${org.apiKey}`, ...headers }),
  };
}

export async function request<T>(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  const response = await fetch(url + path, {
    method,
    headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  const isLines = response.headers.get("content-type") === "application/x-ndjson"; // an archive: as it is
  return { status: response.status, body: (isLines ? text : text === "" ? null : JSON.parse(text)) as T };
}

/** A call that must succeed. */
export async function ok<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { status, body } = await answer;
  if (status !== 200) throw new Error(`expected 200, got ${status}: ${JSON.stringify(body)}`);
  return body;
}

export async function newAgent(
  org: TestOrganization,
  name: string,
  model?: string,
  instructions = `You are ${name}.`,
): Promise<string> {
  const agent = await ok(
    org.call<{ agent_id: string }>("POST", "/agents", {
      name,
      system_prompt: instructions,
      ...(model ? { model } : {}),
    }),
  );
  return agent.agent_id;
}

export async function newPerson(org: TestOrganization, name: string): Promise<string> {
  return (await ok(org.call<{ id: string }>("POST", "/people", { name }))).id;
}

export async function newThread(org: TestOrganization, agents: string[] = [], people: string[] = []): Promise<string> {
  return (await ok(org.call<{ thread: { id: string } }>("POST", "/threads", { title: "A test", agents, people })))
    .thread.id;
}
