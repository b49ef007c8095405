import type { IncomingMessage, ServerResponse } from "node:http";
import { currentRequest } from "encore.dev";
import { APIError, api, ErrCode } from "encore.dev/api";
import log from "encore.dev/log";
import { tenant } from "../db/tenant";
import { type Cursor, formatCursor, parseCursor, START } from "../lib/cursor";
import { invalid, notFound, problem } from "../lib/errors";
import type { LogEntry } from "../lib/events";
import { isId } from "../lib/ids";
import { encodeEvent, encodeRetry, HEARTBEAT, SSE_HEADERS } from "../lib/sse";
import { keyIsValid } from "../organizations/authenticate";
import { caller } from "../organizations/caller";
import { contextAfterError } from "./in-thread";
import type { Channel } from "./live/channel";
import { closeIfIdle, fill, openChannel } from "./live/channels";
import { makeSeats } from "./live/stream-seats";
import { readLog } from "./log";
import { readThread } from "./thread-context";

/** A connection ends by itself, because Encore's runtime does not tell when a reader has gone. Clients resume by Last-Event-ID. */
const STREAM_LIFETIME_MS = 4 * 60_000;
/** Lifetimes differ by up to this, so that readers who came together do not all come back together. */
const STREAM_LIFETIME_JITTER_MS = 30_000;
const RETRY_MS = 500;
const HEARTBEAT_MS = 15_000;
/** A reader with this much unread is ended: it resumes from the log, and costs a cursor instead of memory. */
const UNREAD_BYTES_MAX = 1 << 20;
const REPLAY_PAGE = 200;
/** Streams open in this process, for one organization and for all together. */
const STREAMS_PER_ORG_MAX = 2_000;
const STREAMS_MAX = 10_000;
/** A reader of a long history that takes nothing for so long is ended. */
const DRAIN_MS_MAX = 15_000;
const DRAIN_LOOK_MS = 10;
/** How long an ended reader has to take what was written for it; then the connection is cut, with what it holds in memory. */
const LAST_WORDS_MS_MAX = 10_000;

const seats = makeSeats({ perOrg: STREAMS_PER_ORG_MAX, total: STREAMS_MAX });

/**
 * Streams a thread as server-sent events: the stored messages first, then `caught_up`, then everything as it happens: `message`,
 * `participant`, `turn_started`, `ai_chunk`, `turn_completed`, `turn_cancelled`, `agent_error`, `error`. Every event's `id` is a cursor;
 * `Last-Event-ID` (or `?cursor=`) goes on after it with every entry of the log. The connection ends after about four minutes and names
 * the time to wait; clients of EventSource come back by themselves and miss nothing.
 *
 * @openapi-query cursor A cursor to go on after, for clients that cannot set Last-Event-ID.
 * @openapi-response 200 text/event-stream The thread's events.
 */
export const streamThread = api.raw(
  { expose: true, auth: true, method: "GET", path: "/threads/:id/stream" },
  async (req, resp) => {
    const { orgID, keyID } = caller();
    const request = currentRequest();
    const id = request?.type === "api-call" ? String(request.pathParams?.id) : "";
    let leave: (() => void) | null = null;
    try {
      const from = cursorOf(req);
      leave = seats.take(orgID);
      if (!leave) throw tooManyStreams();
      if (!isId("thread", id)) throw notFound("thread");
      const state = await tenant(orgID, (tx) => readThread(tx, orgID, id));
      if (!state) throw notFound("thread");
      if (from && from.seq > state.context.last_seq) throw badCursor();
      resp.writeHead(200, SSE_HEADERS);
      resp.write(encodeRetry(RETRY_MS)); // Encore sends the head with the first bytes, so some must follow at once
      await follow(resp, { orgId: orgID, keyId: keyID, threadId: id, from });
    } catch (error) {
      await refuse(resp, orgID, id, error);
    } finally {
      leave?.();
    }
  },
);

interface Following {
  orgId: string;
  keyId: string;
  threadId: string;
  from: Cursor | null;
}

async function follow(resp: ServerResponse, { orgId, keyId, threadId, from }: Following): Promise<void> {
  let open = true;
  let leave = () => {};
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const beat = setInterval(() => void heartbeat(), HEARTBEAT_MS);
  const life = setTimeout(end, STREAM_LIFETIME_MS + Math.random() * STREAM_LIFETIME_JITTER_MS);
  resp.once("close", end); // on hosts that tell
  resp.on("error", end); // an error that nobody listens for would end the process

  function write(frame: Buffer): void {
    if (!open) return;
    if (resp.writableLength > UNREAD_BYTES_MAX) end();
    else resp.write(frame);
  }
  function end(): void {
    if (!open) return;
    open = false;
    leave();
    resp.end();
    setTimeout(() => resp.destroy(), LAST_WORDS_MS_MAX).unref(); // changes nothing for a reader that has taken all
    finish();
  }
  async function heartbeat(): Promise<void> {
    // A reader in the middle of a long history is not ended by a heartbeat: the replay minds how slow it is.
    if (resp.writableLength <= UNREAD_BYTES_MAX) write(HEARTBEAT);
    const valid = await keyIsValid(orgId, keyId).catch(() => true); // the database is away: the next beat asks again
    if (valid) return;
    const error = "The API key of this stream is not valid any more.";
    write(encodeEvent({ event: "error", data: { type: "error", thread_id: threadId, error, reason: "key_invalid" } }));
    end();
  }

  try {
    await replay({ orgId, threadId, from, resp, isOpen: () => open }, (channel) => {
      leave = channel.join({ write, lost: end });
      const id = formatCursor({ seq: channel.seq, offsets: from?.offsets ?? START.offsets });
      write(
        encodeEvent({
          id,
          event: "caught_up",
          data: { type: "caught_up", thread_id: threadId, last_seq: channel.seq },
        }),
      );
      for (const frame of channel.spoken(from?.offsets ?? START.offsets)) write(frame);
    });
    await finished;
  } finally {
    clearInterval(beat);
    clearTimeout(life);
    leave();
    closeIfIdle(orgId, threadId);
  }
}
interface Replay {
  orgId: string;
  threadId: string;
  from: Cursor | null;
  resp: ServerResponse;
  /** False once the connection has ended: then nothing may be written. */
  isOpen(): boolean;
}

/**
 * Writes what the reader lacks until it stands where the thread's channel stands, and joins it in that very moment: between the two,
 * nothing can be said. A new reader is shown the stored messages only; one that comes back is given every entry after its cursor.
 */
async function replay(
  { orgId, threadId, from, resp, isOpen }: Replay,
  join: (channel: Channel) => void,
): Promise<void> {
  let at = from?.seq ?? 0;
  while (isOpen()) {
    const { entries, full } = await tenant(orgId, (tx) => readLog(tx, orgId, threadId, at, REPLAY_PAGE));
    for (const entry of entries) {
      if (from === null && entry.event.type !== "message") continue;
      for (const frame of replayed(entry, from)) if (isOpen()) resp.write(frame);
      if (resp.writableLength > UNREAD_BYTES_MAX && !(await drained(resp, isOpen))) {
        resp.destroy(); // it has not read for long; it resumes from the log
        return;
      }
    }
    at = entries.at(-1)?.seq ?? at;
    if (!isOpen()) return;
    if (full) continue;
    const channel = openChannel(orgId, threadId, at);
    channel.append(entries);
    if (channel.seq < at) await fill(orgId, threadId);
    if (!isOpen()) return;
    if (channel.seq === at) return join(channel);
    // What a channel has is committed: a log that ends before it has been erased.
    if (entries.length === 0 && channel.seq > at) throw notFound("thread");
  }
}

/** An entry's frames; before an agent's message the rest of its words, for a reader that was cut off in the middle of them. */
function replayed({ seq, event }: LogEntry, from: Cursor | null): Buffer[] {
  const frame = encodeEvent({ id: String(seq), event: event.type, data: event });
  if (event.type !== "message" || event.message.turn_id === null) return [frame];
  const { turn_id, content, sender_id } = event.message;
  const offset = from?.offsets.get(turn_id);
  if (offset === undefined || offset >= content.length) return [frame];
  const rest = {
    type: "ai_chunk",
    thread_id: event.thread_id,
    turn_id,
    agent_id: sender_id,
    offset,
    content: content.slice(offset),
  };
  return [encodeEvent({ event: "ai_chunk", data: rest }), frame];
}

/** Waits until a slow reader has taken most of what was written; false when it has not in DRAIN_MS_MAX, or has gone. */
async function drained(resp: ServerResponse, isOpen: () => boolean): Promise<boolean> {
  const until = performance.now() + DRAIN_MS_MAX;
  while (isOpen() && resp.writableLength > UNREAD_BYTES_MAX / 2) {
    if (performance.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
  }
  return isOpen();
}

function cursorOf(req: IncomingMessage): Cursor | null {
  const header = req.headers["last-event-id"];
  const text =
    (Array.isArray(header) ? header[0] : header) ??
    new URL(req.url ?? "/", "http://graphyn").searchParams.get("cursor");
  if (text === null || text === "") return null;
  const cursor = parseCursor(text);
  if (!cursor) throw badCursor();
  return cursor;
}

function badCursor(): APIError {
  return invalid(
    "bad_cursor",
    "This cursor is none of this thread's.",
    "Send the id of an event of this thread's stream, or nothing, to begin from the start.",
  );
}

function tooManyStreams(): APIError {
  return problem(
    ErrCode.ResourceExhausted,
    "too_many_streams",
    "Too many streams are open.",
    "End streams that nobody reads, or try again in a few minutes: every stream ends by itself within five.",
    { streams_per_organization_max: STREAMS_PER_ORG_MAX },
  );
}

const STATUS: Partial<Record<ErrCode, number>> = {
  [ErrCode.InvalidArgument]: 400,
  [ErrCode.NotFound]: 404,
  [ErrCode.ResourceExhausted]: 429,
};

/** A raw endpoint writes its own errors: in Encore's form, with the conversation's context; as an `error` event once the stream began. */
async function refuse(resp: ServerResponse, orgId: string, threadId: string, error: unknown): Promise<void> {
  const known = error instanceof APIError ? error : null;
  if (!known) log.error("a thread's stream failed", { thread_id: threadId, error: String(error) });
  if (resp.writableEnded || resp.destroyed) return;
  if (resp.headersSent) {
    const data = {
      type: "error",
      thread_id: threadId,
      error: "The stream broke off; it can be resumed.",
      reason: "stream_failed",
    };
    resp.end(encodeEvent({ event: "error", data }));
    return;
  }
  const details = (known?.details ?? { reason: "internal", hint: "Try again." }) as Record<string, unknown>;
  const context =
    "context" in details || !isId("thread", threadId) ? {} : { context: await contextAfterError(orgId, threadId) };
  resp.writeHead(known ? (STATUS[known.code] ?? 500) : 500, { "Content-Type": "application/json" });
  resp.end(
    JSON.stringify({
      code: known?.code ?? ErrCode.Internal,
      message: known?.message ?? "an internal error occurred",
      details: { ...details, ...context },
    }),
  );
}
