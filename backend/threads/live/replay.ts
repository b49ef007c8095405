import type { ServerResponse } from "node:http";
import { tenant } from "../../db/tenant";
import type { Cursor } from "../../lib/cursor";
import { notFound } from "../../lib/errors";
import type { LogEntry } from "../../lib/events";
import { encodeEvent } from "../../lib/sse";
import { readLog } from "../log";
import type { Channel } from "./channel";
import { fill, openChannel } from "./channels";

/** A reader with this much unread is ended: it resumes from the log, and costs a cursor instead of memory. */
export const UNREAD_BYTES_MAX = 1 << 20;
const REPLAY_PAGE = 200;
/** A reader of a long history that takes nothing for so long is ended. */
const DRAIN_MS_MAX = 15_000;
const DRAIN_LOOK_MS = 10;

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
export async function replay(
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
