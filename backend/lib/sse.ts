/**
 * Server-sent events as https://html.spec.whatwg.org/multipage/server-sent-events.html has them. Data is one line of JSON, in which line
 * breaks are always escaped, so no text of a person can end an event or begin another.
 */
export interface ServerSentEvent {
  id?: string;
  event: string;
  data: unknown;
}

const LINE_BREAK = /[\r\n\0]/;

export function encodeEvent({ id, event, data }: ServerSentEvent): Buffer {
  if (LINE_BREAK.test(event) || (id !== undefined && LINE_BREAK.test(id))) {
    throw new Error("an event's name and id are one line");
  }
  return Buffer.from(`${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

/** How long a client waits before it reconnects, in milliseconds. */
export function encodeRetry(ms: number): Buffer {
  return Buffer.from(`retry: ${Math.trunc(ms)}\n\n`);
}

/** A comment: ignored by clients, but it shows a half-open connection and keeps proxies from closing an idle one. */
export const HEARTBEAT = Buffer.from(": heartbeat\n\n");

/** `no-transform` and `X-Accel-Buffering` keep proxies from holding events back. */
export const SSE_HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
} as const;
