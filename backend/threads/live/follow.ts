import type { ServerResponse } from "node:http";
import type { Cursor } from "../../lib/cursor";
import type { LiveEvent } from "../../lib/events";
import { encodeEvent, encodeRetry, HEARTBEAT } from "../../lib/sse";
import { stopping } from "../../lib/stopping";
import type { Caller } from "../../organizations/authenticate";
import { CREDENTIAL_ENDS, type CredentialEnd } from "../../organizations/credential-end";
import { unwatchCredential, type Watched, watchCredential } from "../../organizations/watch-credentials";
import { encodeOnce } from "./encode-once";
import type { Delivery } from "./place";
import { readFrom } from "./read";
import { type Client, ThreadReader, UNREAD_BYTES_MAX } from "./reader";
import type { ReaderEnd } from "./reader-state";

/** A connection ends by itself, because Encore's runtime does not tell when a reader has gone. Clients resume by Last-Event-ID. */
export const STREAM_LIFETIME_MS = Number(process.env.GRAPHYN_STREAM_LIFETIME_MS ?? 4 * 60_000);
/** Lifetimes differ by up to this share, so that readers who came together do not all come back together. */
export const STREAM_LIFETIME_JITTER = 1 / 8;
const HEARTBEAT_MS = 15_000;
/** How often all streams of the process are looked at together, for what is to happen at a time: a timer each is memory of each. */
const TICK_MS = 250;
/** When readers of a process that ends are to come back: elsewhere, and not all at once. */
const COME_BACK_MS_MIN = 100;
const COME_BACK_MS_SPREAD = 900;
/** How long an ended reader has to take what was written for it; then the connection is cut, with what it holds in memory. */
const LAST_WORDS_MS_MAX = 10_000;

interface Following {
  who: Caller;
  threadId: string;
  from: Cursor | null;
  /** Called when the stream is over, once; not when `follow` rejects. */
  over: () => void;
}

const encode = encodeOnce(({ event, cursor }: Delivery) => encodeEvent({ id: cursor, event: event.type, data: event }));

/**
 * Shows a reader a thread as server-sent events, from its cursor on, until it goes, reads too slowly, or its time is over. Resolves when
 * the reader waits for what happens, or has ended before; rejects when the database cannot be read.
 */
export function follow(resp: ServerResponse, following: Following): Promise<void> {
  return new Follower(resp, following).begin(following.from);
}

/** All streams of this process. */
const followers = new Set<Follower>();

setInterval(() => {
  const now = performance.now();
  for (const follower of followers) follower.tick(now);
}, TICK_MS).unref();
stopping.addEventListener("abort", () => {
  for (const follower of followers) follower.leave();
});

/** One stream. What an idle one takes of memory is this, its reader, and what the host holds of the connection. */
class Follower implements Client, Watched {
  readonly who: Caller;
  readonly threadId: string;
  readonly #resp: ServerResponse;
  readonly #over: () => void;
  readonly #reader = new ThreadReader(this);
  readonly #leavesAt: number;
  #beatsAt: number;
  #isOver = false;

  constructor(resp: ServerResponse, { who, threadId, over }: Following) {
    const now = performance.now();
    this.who = who;
    this.threadId = threadId;
    this.#resp = resp;
    this.#over = over;
    this.#beatsAt = now + HEARTBEAT_MS;
    this.#leavesAt = now + STREAM_LIFETIME_MS * (1 + Math.random() * STREAM_LIFETIME_JITTER);
  }

  async begin(from: Cursor | null): Promise<void> {
    const { who, threadId } = this;
    const leave = () => this.leave();
    this.#resp.once("close", leave); // on hosts that tell
    this.#resp.on("error", leave); // an error that nobody listens for would end the process
    followers.add(this);
    watchCredential(this);
    if (this.#resp.destroyed || stopping.aborted) leave(); // gone already, while its past waited for the database: "close" has been said
    try {
      await readFrom(this.#reader, { who, threadId, from });
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  leave(): void {
    this.#reader.leave();
  }

  /** What is due at this time. */
  tick(now: number): void {
    // A session ends at the second: its token lives a minute or so, and a client comes back with a fresh one.
    const { via, expiresAt } = this.who;
    if (now >= this.#leavesAt) this.leave();
    else if (via === "session" && Date.now() >= expiresAt) this.credentialEnded("session_expired");
    else if (now >= this.#beatsAt) this.#beat(now);
  }

  #beat(now: number): void {
    this.#beatsAt = now + HEARTBEAT_MS;
    // A reader in the middle of a long history is not ended by a heartbeat: the replay minds how slow it is.
    if (this.#resp.writableLength <= UNREAD_BYTES_MAX) this.#resp.write(HEARTBEAT);
  }

  credentialEnded(why: CredentialEnd): void {
    if (this.#isOver) return;
    this.#lastWord(why, CREDENTIAL_ENDS[why]);
    this.leave();
  }

  deliver(delivery: Delivery): void {
    this.#resp.write(encode(delivery));
  }

  unread(): number {
    return this.#resp.writableLength;
  }

  ended(why: ReaderEnd): void {
    const resp = this.#resp;
    this.#end();
    this.#over();
    if (why === "slow" || resp.destroyed) {
      resp.destroy(); // what it did not read in time is not kept for it: it resumes from the log
      return;
    }
    // A guest sees no difference between a thread that is gone and one that they left.
    if (why === "erased" && this.who.role === "guest") this.#lastWord("not_in_thread", CREDENTIAL_ENDS.not_in_thread);
    else if (why === "erased") this.#lastWord("thread_erased", "This thread was erased.");
    if (stopping.aborted) resp.write(encodeRetry(COME_BACK_MS_MIN + Math.random() * COME_BACK_MS_SPREAD));
    resp.end();
    const cut = setTimeout(() => resp.destroy(), LAST_WORDS_MS_MAX).unref();
    resp.once("close", () => clearTimeout(cut)); // it has taken all
  }

  #end(): void {
    this.#isOver = true;
    followers.delete(this);
    unwatchCredential(this);
  }

  /** Has no id: a client that comes back goes on where it stood. */
  #lastWord(reason: string, error: string): void {
    const data: LiveEvent = { type: "error", thread_id: this.threadId, error, reason };
    this.#resp.write(encodeEvent({ event: data.type, data }));
  }
}
