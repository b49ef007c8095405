/** Graphyn as its own API offers it: what arm G needs. */
import { createParser } from "eventsource-parser";
import type { Sample } from "./arms";
import { type Api, call } from "./http";

export interface Organization {
  id: string;
  userId: string;
  api: Api;
}

/** A stream of a thread that has caught up and now waits for what happens. */
export interface OpenStream {
  /** Resolves at the first event for which `wanted` holds, with when its bytes arrived (performance.now()). */
  until(wanted: (event: ThreadEvent, arrived: number) => boolean): Promise<number>;
  close(): void;
}

export interface ThreadEvent {
  type: string;
  turn_id?: string;
  content?: string;
  error?: string;
}

const WAIT_MS_MAX = 30_000;

export async function createOrganization(graphyn: Api, adminKey: string): Promise<Organization> {
  const admin: Api = { pool: graphyn.pool, headers: { "x-admin-key": adminKey } };
  const made = await call<{ organization_id: string; user_id: string; api_key: string }>(
    admin,
    "POST",
    "/organizations",
    {
      name: "Bench",
      owner_name: "Owner",
    },
  );
  return {
    id: made.organization_id,
    userId: made.user_id,
    api: { pool: graphyn.pool, headers: { authorization: `Bearer ${made.api_key}` } },
  };
}

export function createAgent(graphyn: Api, model: string): Promise<{ agent_id: string; letta_id: string }> {
  return call(graphyn, "POST", "/agents", {
    name: "Ada",
    system_prompt: "You are Ada.",
    model: `openai-proxy/${model}`,
  });
}

export async function createThread(graphyn: Api, agents: string[]): Promise<string> {
  return (await call<{ thread: { id: string } }>(graphyn, "POST", "/threads", { agents })).thread.id;
}

export function postMessage(graphyn: Api, threadId: string, content: string, more: object = {}): Promise<unknown> {
  return call(graphyn, "POST", `/threads/${threadId}/messages`, { content, ...more });
}

/** Opens a thread's stream and resolves once it has caught up. */
export async function openStream(graphyn: Api, threadId: string): Promise<OpenStream> {
  const gone = new AbortController();
  const response = await graphyn.pool.request({
    method: "GET",
    path: `/threads/${threadId}/stream`,
    headers: { ...graphyn.headers, accept: "text/event-stream" },
    signal: gone.signal,
  });
  if (response.statusCode !== 200) throw new Error(`GET stream: ${response.statusCode} ${await response.body.text()}`);
  let arrived = 0;
  const past: { event: ThreadEvent; at: number }[] = [];
  let look: () => void = () => undefined;
  const parser = createParser({
    onEvent: ({ data }) => {
      past.push({ event: JSON.parse(data) as ThreadEvent, at: arrived });
      look();
    },
  });
  const decoder = new TextDecoder();
  response.body.on("data", (bytes: Buffer) => {
    arrived = performance.now();
    parser.feed(decoder.decode(bytes, { stream: true }));
  });
  response.body.on("error", () => undefined);

  const stream: OpenStream = {
    until: (wanted) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`nothing came for ${WAIT_MS_MAX} ms`)), WAIT_MS_MAX);
        look = () => {
          for (let next = past.shift(); next !== undefined; next = past.shift()) {
            const failed = next.event.type === "agent_error" || next.event.type === "error";
            if (!failed && !wanted(next.event, next.at)) continue;
            look = () => undefined;
            clearTimeout(late);
            if (failed) reject(new Error(`the turn failed: ${next.event.error ?? "no reason"}`));
            else resolve(next.at);
            return;
          }
        };
        look();
      }),
    close: () => gone.abort(),
  };
  await stream.until((event) => event.type === "caught_up");
  return stream;
}

/** POSTs a message and waits on the open stream: POST sent → first `ai_chunk` with text; the whole turn is over at `turn_completed`. */
export async function postAndFollow(
  graphyn: Api,
  threadId: string,
  stream: OpenStream,
  content: string,
  onText?: (text: string, arrived: number) => void,
): Promise<Sample & { began: number; first_text_at: number }> {
  const began = performance.now();
  const posted = postMessage(graphyn, threadId, content).then(() => performance.now() - began);
  const isText = (event: ThreadEvent, arrived: number) => {
    if (event.type !== "ai_chunk" || !event.content) return false;
    onText?.(event.content, arrived);
    return true;
  };
  const first_text_at = await stream.until(isText);
  const completed = await stream.until((event, arrived) => !isText(event, arrived) && event.type === "turn_completed");
  return {
    began,
    first_text_at,
    first_text_ms: first_text_at - began,
    total_ms: completed - began,
    parts: { accepted_ms: await posted },
  };
}
