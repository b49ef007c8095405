import { createParser } from "eventsource-parser";
import { Fault } from "../fault";
import type { Api } from "./api";

/** What the terminal uses of a thread's stream (`GET /threads/:id/stream`). */
export type ThreadEvent =
  | { type: "caught_up" }
  | { type: "turn_started"; turn_id: string; agent_id: string; agent_name: string }
  | { type: "ai_chunk"; turn_id: string; agent_id: string; content: string }
  | { type: "turn_completed"; turn_id: string; agent_id: string; first_token_ms: number | null; duration_ms: number }
  | { type: "turn_cancelled"; turn_id: string; agent_id: string }
  | { type: "agent_error"; turn_id: string; agent_id: string; error: string }
  | { type: "error"; error: string }
  | { type: "message" | "participant" };

/** Reads a thread's events from the cursor on, until the reader stops or `signal` says so. */
export async function* threadEvents(
  api: Api,
  threadId: string,
  cursor: string,
  signal: AbortSignal,
): AsyncGenerator<ThreadEvent> {
  const response = await fetch(`${api.url}/threads/${threadId}/stream`, {
    headers: { authorization: `Bearer ${api.key}`, accept: "text/event-stream", "last-event-id": cursor },
    signal,
  });
  if (!response.ok || !response.body) {
    throw new Fault(`The thread's stream answered ${response.status}.`, "See ./graphyn logs graphyn.");
  }
  const events: ThreadEvent[] = [];
  const parser = createParser({ onEvent: ({ data }) => events.push(JSON.parse(data) as ThreadEvent) });
  const decoder = new TextDecoder();
  for await (const bytes of response.body) {
    parser.feed(decoder.decode(bytes, { stream: true }));
    yield* events.splice(0);
  }
}
