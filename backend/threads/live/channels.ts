import log from "encore.dev/log";
import { type Tx, tenant, type Viewer } from "../../db/tenant";
import type { LogEntry } from "../../lib/events";
import { deliveryDelay } from "../../lib/metrics";
import { readLog } from "../log";
import { PROCESS_ID } from "../turns/lease";
import { type Channel, createChannel, type Speaker } from "./channel";
import { onHint, tell } from "./fanout/tell";
import { createLooks } from "./looks";
import { readSaid } from "./said-so-far";

/**
 * The threads that somebody reads or an agent speaks in, in this process. What another process wrote is read when a hint names
 * the thread, and found by a slow look should the hint be lost.
 */
interface Open {
  orgId: string;
  threadId: string;
  channel: Channel;
  /** Readers, and turns of this process: with the last of them the channel goes. */
  holds: number;
  /** Turns of this process that hold it. */
  turns: Set<string>;
  /** The reading under way, and whether something was told since it began. */
  refreshing: Promise<void> | null;
  again: boolean;
}
const channels = new Map<string, Open>();

/** How often a thread with readers is compared with its log: finds what a lost hint would have told. */
const POLL_MS = Number(process.env.GRAPHYN_POLL_MS ?? 2_000);
/** A writer that committed first may report second; a hole older than this is read from the log. */
const HOLE_MS = 30;
const FILL_ENTRIES_MAX = 500;
/** Pages of the log that one look takes; the next one goes on. */
const FILL_PAGES_MAX = 20;
/** Organizations whose threads are looked at beside each other for hints; each look has a connection of the pool (ENCORE_NODE_DB_POOL). */
const LOOKS_AT_ONCE_MAX = 3;

/** A channel, kept open until it is released. */
export interface Hold {
  channel: Channel;
  release(): void;
}

/** The thread's channel, made at `seq` when there is none: everything up to there must be known to whoever asks. */
export function holdChannel(orgId: string, threadId: string, seq: number): Hold {
  const open = opened(orgId, threadId, seq);
  // Hints of a thread that nobody reads are not kept: what was hinted while its first reader came is looked for now.
  if (open.channel.readers === 0) setImmediate(() => looks.want(orgId, threadId));
  open.holds++;
  let held = true;
  return {
    channel: open.channel,
    release() {
      if (!held) return;
      held = false;
      letGo(open);
    },
  };
}

/** The thread's channel, if somebody reads it or an agent speaks in it here. */
export function channelOf(orgId: string, threadId: string): Channel | null {
  return channels.get(`${orgId}/${threadId}`)?.channel ?? null;
}

/**
 * The entry up to which this process's readers have been shown the thread; null when there are none. What comes after it they are all
 * given: who stands there lacks nothing of the log. Null for a guest too: whether one sees the thread, the database says each time.
 */
export function seqShown(who: Viewer, threadId: string): number | null {
  if (who.role === "guest") return null;
  const channel = channelOf(who.orgID, threadId);
  return channel !== null && channel.readers > 0 ? channel.seq : null;
}

function opened(orgId: string, threadId: string, seq: number): Open {
  const key = `${orgId}/${threadId}`;
  const open = channels.get(key) ?? {
    orgId,
    threadId,
    channel: createChannel(threadId, seq),
    holds: 0,
    turns: new Set<string>(),
    refreshing: null,
    again: false,
  };
  channels.set(key, open);
  return open;
}

function letGo(open: Open): void {
  const key = `${open.orgId}/${open.threadId}`;
  if (--open.holds === 0 && channels.get(key) === open) channels.delete(key);
}

/** Ends the readers of a thread that was erased. */
export function closeErased(orgId: string, threadId: string): void {
  const channel = channelOf(orgId, threadId);
  channels.delete(`${orgId}/${threadId}`);
  channel?.close();
}

/** Hands committed entries to the thread's readers, here and in other processes. */
export function publish(orgId: string, threadId: string, entries: LogEntry[]): void {
  if (entries.length === 0) return;
  tell(orgId, threadId, "log");
  const channel = channelOf(orgId, threadId);
  if (!channel) return;
  deliver(channel, entries);
  if (channel.hole) setTimeout(() => void refresh(orgId, threadId), HOLE_MS);
}

/** Gives readers entries of the log, and notes how long after their transaction that is. */
function deliver(channel: Channel, entries: LogEntry[]): void {
  const before = channel.seq;
  channel.append(entries);
  if (channel.readers === 0) return;
  for (const { seq, event } of entries) {
    if (seq <= before || seq > channel.seq || event.type !== "message") continue;
    deliveryDelay.observe(Math.max(0, Date.now() - Date.parse(event.message.created_at)) / 1_000);
  }
}

/** A turn of this process has begun: its channel is kept open until `stopSpeaking`, so that it knows what becomes of the turn. */
export function startSpeaking(orgId: string, threadId: string, turnId: string, startSeq: number): void {
  const open = opened(orgId, threadId, startSeq);
  if (!open.turns.has(turnId)) open.holds++;
  open.turns.add(turnId);
}

/** Hands a running turn's words to the thread's readers. */
export function speak(orgId: string, threadId: string, speaker: Speaker, text: string): void {
  channelOf(orgId, threadId)?.speak(speaker, text);
}

/** The turn says no more here. What it said stays with the channel until the log has its message or its end. */
export function stopSpeaking(orgId: string, threadId: string, turnId: string): void {
  const open = channels.get(`${orgId}/${threadId}`);
  if (open?.turns.delete(turnId)) letGo(open);
}

/**
 * Brings a channel to the end of its log, and to what the running turns of all processes have said as far as it is stored. Called when
 * an entry is missing, when another process hints that the thread has changed, and by the slow look; calls that come during one are one
 * more. Never throws.
 */
export async function refresh(orgId: string, threadId: string): Promise<void> {
  const open = channels.get(`${orgId}/${threadId}`);
  if (!open) return;
  if (open.refreshing) open.again = true;
  open.refreshing ??= (async () => {
    do {
      open.again = false;
      await look(open);
    } while (open.again);
    open.refreshing = null;
  })();
  return open.refreshing;
}

function look({ orgId, threadId }: Open): Promise<void> {
  return lookTogether(orgId, [threadId]);
}

/** Looks at threads of one organization in one transaction: at all their words, and at the logs of those that have something new. */
async function lookTogether(orgId: string, threadIds: string[]): Promise<void> {
  const open = threadIds.flatMap((threadId) => channels.get(`${orgId}/${threadId}`) ?? []);
  if (open.length === 0) return;
  try {
    await tenant(orgId, async (tx) => {
      const ids = open.map(({ threadId }) => threadId);
      const known = Object.assign({}, ...open.map(({ channel }) => channel.known())) as Record<string, number>;
      // The words first: whoever has begun to speak by now has its start in the log that is read after them.
      const words = await readSaid(tx, orgId, ids, known);
      const rows = await tx.queryAll<{ id: string; last_seq: number }>`
        select id, last_seq from threads where org_id = ${orgId} and id = any(${ids}::text[])`;
      const lastSeq = new Map(rows.map((row) => [row.id, row.last_seq]));
      const reached = new Map<string, Channel>();
      for (const { threadId, channel } of open) {
        const last = lastSeq.get(threadId);
        if (last === undefined) closeErased(orgId, threadId);
        else if (await bringTo(tx, orgId, threadId, channel, last)) reached.set(threadId, channel);
      }
      // The very channels that were there when the words were read: one made since may not know that a turn has ended.
      for (const piece of words) reached.get(piece.threadId)?.catchUp(piece);
    });
  } catch (error) {
    log.warn("reading threads for their readers failed; the next look tries again", {
      threads: open.length,
      error: String(error),
    });
  }
}

/** Gives a channel the log up to an entry; false when that takes more pages than one look may. */
async function bringTo(tx: Tx, orgId: string, threadId: string, channel: Channel, seq: number): Promise<boolean> {
  for (let pages = 0; channel.seq < seq; pages++) {
    if (pages === FILL_PAGES_MAX) return false;
    const { entries } = await readLog(tx, orgId, threadId, channel.seq, FILL_ENTRIES_MAX);
    deliver(channel, entries);
    if (entries.length === 0) return false; // erased since
  }
  return true;
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
        (tx) => tx.queryAll<{ id: string; last_seq: number; elsewhere: boolean }>`
          select id, last_seq, exists (
            select from turns r where r.org_id = t.org_id and r.thread_id = t.id and r.state = 'running'
              and r.lease_owner is distinct from ${PROCESS_ID}) as elsewhere
          from threads t where org_id = ${orgId} and id = any(${ids}::text[])`,
      );
      const known = new Map(rows.map((row) => [row.id, row]));
      for (const { threadId, channel } of read) {
        const thread = known.get(threadId);
        if (thread === undefined) closeErased(orgId, threadId);
        else if (thread.last_seq > channel.seq || thread.elsewhere) await refresh(orgId, threadId);
      }
    } catch (error) {
      log.warn("looking for new entries failed; the next look tries again", { error: String(error) });
    }
  }
}

let polling: Promise<void> | null = null;
let isPollWanted = false;
/** Looks at all threads that are read here; calls that come during one are one more. */
function pollAll(): Promise<void> {
  isPollWanted = true;
  polling ??= (async () => {
    while (isPollWanted) {
      isPollWanted = false;
      await poll();
    }
    polling = null;
  })();
  return polling;
}

async function pollForEver(): Promise<void> {
  await pollAll();
  setTimeout(() => void pollForEver(), POLL_MS).unref();
}
setTimeout(() => void pollForEver(), POLL_MS).unref();

const looks = createLooks({ atOnce: LOOKS_AT_ONCE_MAX, look: lookTogether });
for (const change of ["log", "text"] as const) {
  onHint(change, (hints) => {
    if (hints === "all") {
      if (change === "log") void pollAll();
      return;
    }
    for (const { orgId, threadId } of hints)
      if ((channelOf(orgId, threadId)?.readers ?? 0) > 0) looks.want(orgId, threadId);
  });
}
