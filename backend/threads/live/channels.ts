import log from "encore.dev/log";
import { tenant } from "../../db/tenant";
import type { LogEntry } from "../../lib/events";
import { readLog } from "../log";
import { type Channel, createChannel, type Speaking } from "./channel";
import { onHint, tell } from "./fanout/tell";

/**
 * The threads that somebody reads or an agent speaks in, in this process. What another process wrote is read from the log when a hint
 * names the thread, and found by a slow look should the hint be lost.
 */
const channels = new Map<string, { orgId: string; threadId: string; channel: Channel; speaking: Set<string> }>();

/** How often a thread with readers is compared with its log. */
const POLL_MS = 2_000;
/** A writer that committed first may report second; a hole older than this is read from the log. */
const HOLE_MS = 30;
const FILL_ENTRIES_MAX = 500;

/** The thread's channel, made at `seq` when there is none: everything up to there must be known to whoever asks. */
export function openChannel(orgId: string, threadId: string, seq: number): Channel {
  const key = `${orgId}/${threadId}`;
  const open = channels.get(key) ?? {
    orgId,
    threadId,
    channel: createChannel(threadId, seq),
    speaking: new Set<string>(),
  };
  channels.set(key, open);
  return open.channel;
}

/** Forgets the channel once nobody reads it and no agent speaks in it. */
export function closeIfIdle(orgId: string, threadId: string): void {
  const key = `${orgId}/${threadId}`;
  const open = channels.get(key);
  if (open && open.channel.readers === 0 && open.speaking.size === 0) channels.delete(key);
}

/** Ends the readers of a thread that was erased. */
export function closeErased(orgId: string, threadId: string): void {
  const channel = channels.get(`${orgId}/${threadId}`)?.channel;
  channels.delete(`${orgId}/${threadId}`);
  channel?.close({ type: "error", thread_id: threadId, error: "This thread was erased.", reason: "thread_erased" });
}

/** Hands committed entries to the thread's readers, here and in other processes. */
export function publish(orgId: string, threadId: string, entries: LogEntry[]): void {
  if (entries.length === 0) return;
  tell(orgId, threadId, "log");
  const channel = channels.get(`${orgId}/${threadId}`)?.channel;
  if (!channel) return;
  channel.append(entries);
  if (channel.hole) setTimeout(() => void fill(orgId, threadId), HOLE_MS);
}

/** Hands a running turn's words to the thread's readers. `seq` is of the turn's start. */
export function speak(orgId: string, threadId: string, seq: number, turn: Speaking, text: string): void {
  const channel = openChannel(orgId, threadId, seq);
  channels.get(`${orgId}/${threadId}`)?.speaking.add(turn.turnId);
  channel.speak(turn, text);
}

/** The turn says no more; its message and its end follow as entries of the log. */
export function stopSpeaking(orgId: string, threadId: string, turnId: string): void {
  const open = channels.get(`${orgId}/${threadId}`);
  open?.speaking.delete(turnId);
  open?.channel.endTurn(turnId);
  closeIfIdle(orgId, threadId);
}

/** Brings a channel to the end of its log, or a page nearer to it. */
export async function fill(orgId: string, threadId: string): Promise<void> {
  const channel = channels.get(`${orgId}/${threadId}`)?.channel;
  if (!channel) return;
  try {
    const { entries } = await tenant(orgId, (tx) => readLog(tx, orgId, threadId, channel.seq, FILL_ENTRIES_MAX));
    channel.append(entries);
  } catch (error) {
    log.warn("reading a thread's log for its readers failed; the next look tries again", {
      thread_id: threadId,
      error: String(error),
    });
  }
}

async function poll(): Promise<void> {
  const byOrg = new Map<string, { threadId: string; channel: Channel }[]>();
  for (const { orgId, threadId, channel } of channels.values()) {
    if (channel.readers === 0) continue;
    byOrg.set(orgId, [...(byOrg.get(orgId) ?? []), { threadId, channel }]);
  }
  for (const [orgId, read] of byOrg) {
    try {
      const ids = read.map(({ threadId }) => threadId);
      const rows = await tenant(
        orgId,
        (tx) => tx.queryAll<{ id: string; last_seq: number }>`
          select id, last_seq from threads where org_id = ${orgId} and id = any(${ids}::text[])`,
      );
      const last = new Map(rows.map((row) => [row.id, row.last_seq]));
      for (const { threadId, channel } of read) {
        const lastSeq = last.get(threadId);
        if (lastSeq === undefined) closeErased(orgId, threadId);
        else if (lastSeq > channel.seq) await fill(orgId, threadId);
      }
    } catch (error) {
      log.warn("looking for new entries failed; the next look tries again", { error: String(error) });
    }
  }
}

async function pollForEver(): Promise<void> {
  await poll();
  setTimeout(() => void pollForEver(), POLL_MS).unref();
}
setTimeout(() => void pollForEver(), POLL_MS).unref();

onHint("log", (hints) => {
  if (hints === "all") void poll();
  else for (const { orgId, threadId } of hints) void fill(orgId, threadId);
});
