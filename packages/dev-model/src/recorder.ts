/** What the dev model was sent, and what became of each answer; kept in memory, bounded, and only when asked for with `--record`. */
import { RECORDED_BYTES_MAX, RECORDED_REQUESTS_MAX, RECORDED_TOKEN_TIMES_MAX } from "./limits";
import type { JsonObject } from "./request";

/** One recorded request. Monotonic times are in ms of the host's CLOCK_MONOTONIC, comparable with `process.hrtime` of any process on it. */
export interface RecordedRequest {
  id: number;
  path: string;
  received_at: string;
  received_monotonic_ms: number;
  user: string | null;
  model: string | null;
  body: JsonObject;
  status: number;
  finish_reason: string | null;
  tokens_sent: number;
  token_sent_monotonic_ms: number[];
  ended_monotonic_ms: number | null;
  /** The client closed the connection before the answer was complete. */
  client_gone: boolean;
}

/** What a handler tells about the answer it gives. */
export interface Trace {
  status(code: number): void;
  token(): void;
  finished(reason: string): void;
  /** Only the first call counts. */
  ended(clientGone: boolean): void;
}

export interface RecordFilter {
  contains: string | null;
  user: string | null;
  model: string | null;
  limit: number;
}

export interface Recorder {
  begin(path: string, body: JsonObject): Trace;
  list(filter: RecordFilter): RecordedRequest[];
  clear(): void;
}

export const NO_TRACE: Trace = { status() {}, token() {}, finished() {}, ended() {} };

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export function createRecorder(): Recorder {
  /** `text` is the body as JSON, for `contains`. */
  let entries: { request: RecordedRequest; text: string }[] = [];
  let bytes = 0;
  let lastId = 0;

  return {
    begin(path, body) {
      const text = JSON.stringify(body);
      const request: RecordedRequest = {
        id: ++lastId,
        path,
        received_at: new Date().toISOString(),
        received_monotonic_ms: monotonicMs(),
        user: typeof body.user === "string" ? body.user : null,
        model: typeof body.model === "string" ? body.model : null,
        body,
        status: 0,
        finish_reason: null,
        tokens_sent: 0,
        token_sent_monotonic_ms: [],
        ended_monotonic_ms: null,
        client_gone: false,
      };
      entries.push({ request, text });
      bytes += text.length;
      while (entries.length > RECORDED_REQUESTS_MAX || (bytes > RECORDED_BYTES_MAX && entries.length > 1)) {
        bytes -= entries.shift()?.text.length ?? 0;
      }
      return {
        status(code) {
          request.status = code;
        },
        token() {
          request.tokens_sent++;
          if (request.token_sent_monotonic_ms.length < RECORDED_TOKEN_TIMES_MAX) {
            request.token_sent_monotonic_ms.push(monotonicMs());
          }
        },
        finished(reason) {
          request.finish_reason = reason;
        },
        ended(clientGone) {
          if (request.ended_monotonic_ms !== null) return;
          request.ended_monotonic_ms = monotonicMs();
          request.client_gone = clientGone;
        },
      };
    },
    list({ contains, user, model, limit }) {
      const escaped = contains === null ? "" : JSON.stringify(contains).slice(1, -1);
      return entries
        .filter(({ request, text }) => {
          if (user !== null && request.user !== user) return false;
          if (model !== null && request.model !== model) return false;
          return text.includes(escaped);
        })
        .slice(-limit)
        .map(({ request }) => request);
    },
    clear() {
      entries = [];
      bytes = 0;
    },
  };
}
