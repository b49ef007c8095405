import type { ServerResponse } from "node:http";
import { type Cursor, formatCursor, START } from "../../lib/cursor";
import { encodeEvent, HEARTBEAT } from "../../lib/sse";
import { keyIsValid } from "../../organizations/authenticate";
import { closeIfIdle } from "./channels";
import { replay, UNREAD_BYTES_MAX } from "./replay";

/** A connection ends by itself, because Encore's runtime does not tell when a reader has gone. Clients resume by Last-Event-ID. */
const STREAM_LIFETIME_MS = 4 * 60_000;
/** Lifetimes differ by up to this, so that readers who came together do not all come back together. */
const STREAM_LIFETIME_JITTER_MS = 30_000;
const HEARTBEAT_MS = 15_000;
/** How long an ended reader has to take what was written for it; then the connection is cut, with what it holds in memory. */
const LAST_WORDS_MS_MAX = 10_000;

interface Following {
  orgId: string;
  keyId: string;
  threadId: string;
  from: Cursor | null;
}

/** Shows a reader a thread from its cursor on, and everything that happens, until it goes, reads too slowly, or its time is over. */
export async function follow(resp: ServerResponse, { orgId, keyId, threadId, from }: Following): Promise<void> {
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
