/** A real Letta behind the gateway, as test files use it: an organization of their own, threads, and what of them Letta has. */
import { inject } from "vitest";
import { adminQuery } from "../harness/database";
import { type GatewayStack, gatewayStackAt } from "../harness/gateway-stack";
import { newAgent, newOrganization, newThread, ok, request, type TestOrganization } from "../harness/organization";
import { type Server, type ServerConfig, startServer } from "../harness/server";
import { ofType, openStream, type Received, turnsEnded } from "../harness/stream";
import { tenantInLetta } from "../letta/past-graphyn";
import type { Recorded } from "./gateway";

/** Letta's start takes 10 to 24 s, longer beside other tests, and its migrations ten more where no template is kept. */
export const START_MS_MAX = 240_000;
const LETTA_MS_MAX = 60_000;
const PAGE_MESSAGES_MAX = 100;

export interface LettaMessage {
  id: string;
  message_type: string;
  date: string;
  content?: string;
  otid?: string | null;
  tool_call?: { name: string | null; arguments: string | null; tool_call_id?: string };
  tool_return?: string;
  status?: string;
  stop_reason?: string;
  total_tokens?: number;
}

export interface BehindGateway {
  stack: GatewayStack;
  org: TestOrganization;
  /** The organization's user in Letta. */
  user: string;
  letta: {
    call<T>(method: string, path: string, body?: unknown): Promise<T>;
    /** The `data:` lines of an event stream, parsed, without the last. */
    stream(path: string, body: unknown): Promise<LettaMessage[]>;
  };
  /** What the dev model was asked that holds all of these words. */
  asked(...words: string[]): Promise<Recorded[]>;
  agent(model: string, more?: object): Promise<{ agent_id: string; letta_id: string }>;
  /** A thread with one agent on a model, and what its readers see. */
  thread(model: string, more?: object): Promise<TestThread>;
  threadOf(agents: string[]): Promise<TestThread>;
  /** The same organization at another Graphyn. */
  at(url: string): TestOrganization;
  /** A thread's conversation in Letta: its agent's, or that of one of several by its id there. */
  conversationOf(threadId: string, lettaId?: string): Promise<string>;
  /** What Letta has stored of it, oldest first. */
  inLetta(threadId: string, lettaId?: string): Promise<LettaMessage[]>;
  /** The last text of a kind, such as `assistant_message`. */
  lastInLetta(threadId: string, type: string): Promise<string | undefined>;
  calls(threadId: string): Promise<ModelCall[]>;
}

export interface ModelCall {
  purpose: string;
  guess: string | null;
  agent_id: string | null;
  upstream: string | null;
  estimated: boolean;
  prompt_tokens: number | null;
  completion_tokens: number | null;
}

export interface TestThread {
  threadId: string;
  stream: Awaited<ReturnType<typeof openStream>>;
  say(content: string): Promise<{ turns: { id: string }[] }>;
  /** Says something and waits for the end of its turn. */
  ask(content: string): Promise<Received[]>;
  cancel(turnId: string | undefined): Promise<unknown>;
}

/** Another Graphyn beside the stack's: same database, same Letta, whose requests are handed over to it. */
export async function startBeside(stack: GatewayStack, env: Record<string, string> = {}): Promise<Server> {
  const config: ServerConfig = { ...stack.config, env: { ...stack.config.env, ...env } };
  return startServer(config);
}

export async function behindGateway(): Promise<BehindGateway> {
  const stack = await gatewayStackAt(inject("gatewayStack"));
  const { adminKey, databaseUrl } = stack.config;
  const org = await newOrganization({ url: stack.url, adminKey, databaseUrl, adminUrl: stack.adminUrl });
  await newAgent(org, "First"); // makes the organization's place in Letta
  const user = (await tenantInLetta(org.orgId, stack.adminUrl)).letta_user_id;
  const send = (method: string, path: string, body?: unknown) =>
    fetch(stack.letta.url + path, {
      method,
      headers: {
        authorization: `Bearer ${stack.letta.password}`,
        "content-type": "application/json",
        user_id: user,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(LETTA_MS_MAX),
    });
  const call = async <T>(method: string, path: string, body?: unknown) => {
    const response = await send(method, path, body);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  const conversationOf = async (threadId: string, lettaId?: string) => {
    const [row] = await adminQuery<{ letta_conversation_id: string }>(
      stack.adminUrl,
      `select letta_conversation_id from agent_conversations c
        join agent_versions v on (v.org_id, v.id) = (c.org_id, c.agent_version_id)
        where c.thread_id = $1 and v.letta_id = coalesce($2, v.letta_id)`,
      [threadId, lettaId ?? null],
    );
    return row?.letta_conversation_id ?? "";
  };
  const inLetta = async (threadId: string, lettaId?: string) => {
    const path = `/v1/conversations/${await conversationOf(threadId, lettaId)}/messages?limit=${PAGE_MESSAGES_MAX}&order=asc`;
    // By time: the places of a conversation's messages change when it is compacted.
    return (await call<LettaMessage[]>("GET", path)).toSorted((a, b) => Date.parse(a.date) - Date.parse(b.date));
  };
  const agent = (model: string, more: object = {}) =>
    ok(
      org.call<{ agent_id: string; letta_id: string }>("POST", "/agents", {
        name: "Ada",
        system_prompt: "You are Ada.",
        model: `openai-proxy/${model}`,
        ...more,
      }),
    );
  const threadOf = async (agents: string[]) => testThread(org, await newThread(org, agents));
  return {
    stack,
    org,
    user,
    letta: {
      call,
      async stream(path, body) {
        const text = await (await send("POST", path, body)).text();
        const lines = text.split("\n").filter((line) => line.startsWith("data: {"));
        return lines.map((line) => JSON.parse(line.slice("data: ".length)) as LettaMessage);
      },
    },
    async asked(...words) {
      const [first = ""] = words;
      const response = await fetch(`${stack.modelUrl}/debug/requests?contains=${encodeURIComponent(first)}&limit=1000`);
      const { requests } = (await response.json()) as { requests: Recorded[] };
      return requests.filter(({ body }) =>
        words.every((word) => JSON.stringify(body).includes(JSON.stringify(word).slice(1, -1))),
      );
    },
    agent,
    threadOf,
    thread: async (model, more) => threadOf([(await agent(model, more)).agent_id]),
    at: (url) => ({
      ...org,
      url,
      call: (method, path, body, headers) =>
        request(url, method, path, body, { authorization: `Bearer ${org.apiKey}`, ...headers }),
    }),
    conversationOf,
    inLetta,
    lastInLetta: async (threadId, type) =>
      (await inLetta(threadId)).filter((message) => message.message_type === type).at(-1)?.content,
    calls: (threadId) =>
      adminQuery(
        stack.adminUrl,
        `select purpose, guess, agent_id, upstream, estimated, prompt_tokens, completion_tokens from model_calls
          where turn_id in (select id from turns where thread_id = $1) order by created_at`,
        [threadId],
      ),
  };
}

export async function testThread(org: TestOrganization, threadId: string): Promise<TestThread> {
  const stream = await openStream(org, threadId);
  let ended = 0;
  const say = (content: string) =>
    ok(org.call<{ turns: { id: string }[] }>("POST", `/threads/${threadId}/messages`, { content }));
  return {
    threadId,
    stream,
    say: (content) => {
      ended++;
      return say(content);
    },
    async ask(content) {
      ended++;
      const until = ended;
      await say(content);
      return stream.until(turnsEnded(until), LETTA_MS_MAX);
    },
    cancel: (turnId) => ok(org.call("POST", `/threads/${threadId}/turns/${turnId}/cancel`)),
  };
}

function lastTurn(received: Received[]): string | undefined {
  return ofType(received, "turn_started").at(-1)?.turn_id;
}

/** The last turn's words as its readers saw them come. */
export function shown(received: Received[]): string {
  const turn = lastTurn(received);
  return ofType(received, "ai_chunk")
    .filter((chunk) => chunk.turn_id === turn)
    .map((chunk) => chunk.content)
    .join("");
}

/** The same as the thread stored them. */
export function stored(received: Received[]): string {
  const turn = lastTurn(received);
  return ofType(received, "message").find(({ message }) => message.turn_id === turn)?.message.content ?? "";
}
