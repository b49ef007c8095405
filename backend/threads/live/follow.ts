import type { ServerResponse } from "node:http";
import type { Cursor } from "../../lib/cursor";
import type { LiveEvent } from "../../lib/events";
import { encodeEvent, encodeRetry, HEARTBEAT } from "../../lib/sse";
import { stopping } from "../../lib/stopping";
import type { Caller } from "../../organizations/authenticate";
import { CREDENTIAL_ENDS, type CredentialEnd } from "../../organizations/credential-end";
import { watchCredential } from "../../organizations/watch-credentials";
import { encodeOnce } from "./encode-once";
import type { Delivery } from "./place";
import { readFrom } from "./read";
import { UNREAD_BYTES_MAX } from "./reader";

/** A connection ends by itself, because Encore's runtime does not tell when a reader has gone. Clients resume by Last-Event-ID. */
export const STREAM_LIFETIME_MS = Number(process.env.GRAPHYN_STREAM_LIFETIME_MS ?? 4 * 60_000);
/** Lifetimes differ by up to this share, so that readers who came together do not all come back together. */
export const STREAM_LIFETIME_JITTER = 1 / 8;
const HEARTBEAT_MS = 15_000;
/** When readers of a process that ends are to come back: elsewhere, and not all at once. */
const COME_BACK_MS_MIN = 100;
const COME_BACK_MS_SPREAD = 900;
/** How long an ended reader has to take what was written for it; then the connection is cut, with what it holds in memory. */
const LAST_WORDS_MS_MAX = 10_000;

interface Following {
  who: Caller;
  threadId: string;
  from: Cursor | null;
}

const encode = encodeOnce(({ event, cursor }: Delivery) => encodeEvent({ id: cursor, event: event.type, data: event }));

/**
 * Shows a reader a thread as server-sent events, from its cursor on, until it goes, reads too slowly, or its time is over. Rejects when
 * the database cannot be read.
 */
export async function follow(resp: ServerResponse, { who, threadId, from }: Following): Promise<void> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  const beat = setInterval(heartbeat, HEARTBEAT_MS);
  const life = setTimeout(leave, STREAM_LIFETIME_MS * (1 + Math.random() * STREAM_LIFETIME_JITTER));
  // A session ends at the second: its token lives a minute or so, and a client comes back with a fresh one.
  const sessionMs = Math.max(0, who.expiresAt - Date.now());
  const isBrief = who.via === "session" && sessionMs < STREAM_LIFETIME_MS;
  const session = isBrief ? setTimeout(() => end("session_expired"), sessionMs) : undefined;
  const unwatch = watchCredential(who, threadId, end);
  resp.once("close", leave); // on hosts that tell
  stopping.addEventListener("abort", leave, { once: true });
  resp.on("error", leave); // an error that nobody listens for would end the process
  if (resp.destroyed) leave(); // gone already, while its past waited for the database: "close" has been said

  function heartbeat(): void {
    // A reader in the middle of a long history is not ended by a heartbeat: the replay minds how slow it is.
    if (resp.writableLength <= UNREAD_BYTES_MAX && !gone.signal.aborted) resp.write(HEARTBEAT);
  }
  function end(why: CredentialEnd): void {
    if (gone.signal.aborted) return;
    lastWord(why, CREDENTIAL_ENDS[why]);
    leave();
  }
  /** Has no id: a client that comes back goes on where it stood. */
  function lastWord(reason: string, error: string): void {
    const data: LiveEvent = { type: "error", thread_id: threadId, error, reason };
    resp.write(encodeEvent({ event: data.type, data }));
  }

  try {
    const why = await readFrom({
      who,
      threadId,
      from,
      signal: gone.signal,
      deliver: (delivery) => void resp.write(encode(delivery)),
      unread: () => resp.writableLength,
    });
    if (why === "slow") {
      resp.destroy(); // what it did not read in time is not kept for it: it resumes from the log
      return;
    }
    // A guest sees no difference between a thread that is gone and one that they left.
    if (why === "erased" && who.role === "guest") lastWord("not_in_thread", CREDENTIAL_ENDS.not_in_thread);
    else if (why === "erased") lastWord("thread_erased", "This thread was erased.");
    if (stopping.aborted) resp.write(encodeRetry(COME_BACK_MS_MIN + Math.random() * COME_BACK_MS_SPREAD));
    resp.end();
    setTimeout(() => resp.destroy(), LAST_WORDS_MS_MAX).unref(); // changes nothing for a reader that has taken all
  } finally {
    clearInterval(beat);
    clearTimeout(life);
    clearTimeout(session);
    unwatch();
    stopping.removeEventListener("abort", leave);
  }
}
