import { tenant } from "../../db/tenant";
import type { Cursor } from "../../lib/cursor";
import type { LogEntry } from "../../lib/events";
import { readLog } from "../log";
import { channelOf, type Hold, holdChannel, refresh } from "./channels";
import { cursorAt, type Delivery, type Place, placeAt, takeEntry, takeStored, type Words } from "./place";
import { isReaderEnd, nextReaderState, type ReaderEnd, type ReaderEvent, type ReaderState } from "./reader-state";
import { readSaid } from "./said-so-far";

/** A reader with this much unread is ended: it resumes from the log, and costs a cursor instead of memory. */
export const UNREAD_BYTES_MAX = 1 << 20;
const REPLAY_PAGE = 200;
/** A reader of a long history that takes nothing for so long is ended. */
const DRAIN_MS_MAX = 15_000;
const DRAIN_LOOK_MS = 10;

export interface Reading {
  orgId: string;
  threadId: string;
  /** Where the reader stands; null for a new one, who is shown the stored messages and nothing else of the past. */
  from: Cursor | null;
  /** Ends the reading: the client has gone, or its time is over. */
  signal: AbortSignal;
  /** Passes one thing on to the client, with the cursor that stands after it. Must not wait, and must not throw. */
  deliver(delivery: Delivery): void;
  /** Bytes passed on that the client has not taken; 0 where the transport cannot tell. */
  unread(): number;
}

/**
 * Reads a thread from a cursor on, for any transport: the log after it, `caught_up`, the words of running turns that the reader lacks, and
 * then whatever happens, each exactly once and in order. Resolves with why it ended. Rejects when the database cannot be read.
 */
export async function readFrom(reading: Reading): Promise<ReaderEnd> {
  const { orgId, threadId, from, signal } = reading;
  const place = placeAt(threadId, from);
  let state: ReaderState = "replaying";
  let why: ReaderEnd = "left";
  let wake = () => {};
  let leave = () => {};
  let hold: Hold | null = null;
  let page: Page = { entries: [], full: true, words: [] };
  let after = 0; // entries of the page that were given
  let mustReach = 0; // the channel had this entry before the last look at the log

  function meet(event: ReaderEvent): void {
    if (state !== "ended" && isReaderEnd(event)) {
      why = event;
      leave();
      wake();
    }
    state = nextReaderState(state, event);
  }
  const isNow = (expected: ReaderState) => state === expected; // other events than its own may have moved it meanwhile
  const onAbort = () => meet("left");
  if (signal.aborted) return "left";
  signal.addEventListener("abort", onAbort, { once: true });

  try {
    while (!isNow("ended")) {
      switch (state as ReaderState) {
        case "replaying": {
          if (after === page.entries.length) {
            page = await readPage(orgId, threadId, place.seq);
            after = 0;
          }
          while (after < page.entries.length && isNow("replaying")) {
            for (const delivery of replayed(place, page.entries[after] as LogEntry, from !== null))
              reading.deliver(delivery);
            after++;
            if (reading.unread() > UNREAD_BYTES_MAX && isNow("replaying")) meet("full");
          }
          if (isNow("replaying")) meet(page.full ? "page" : "log_end");
          break;
        }
        case "draining":
          meet((await drained(reading, () => isNow("draining"))) ? "drained" : "slow");
          break;
        case "joining": {
          hold ??= holdChannel(orgId, threadId, place.seq);
          const { channel } = hold;
          channel.append(page.entries);
          if (channel.seq < place.seq) await refresh(orgId, threadId);
          if (!isNow("joining")) break;
          if (channel.seq === place.seq) {
            for (const words of page.words) channel.catchUp(words);
            const caughtUp = { type: "caught_up", thread_id: threadId, last_seq: place.seq } as const;
            reading.deliver({ event: caughtUp, cursor: cursorAt(place), seq: null });
            leave = channel.join({ deliver, end: meet }, place);
            meet("joined");
          } else if (place.seq < mustReach) {
            meet("erased"); // what a channel has is committed: a log that ends before it is no more
          } else {
            mustReach = channel.seq;
            meet("behind");
          }
          break;
        }
        case "live":
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          break;
        case "ended":
          break;
      }
    }
    return why;
  } finally {
    signal.removeEventListener("abort", onAbort);
    leave();
    hold?.release();
  }

  function deliver(delivery: Delivery): void {
    if (isNow("ended")) return;
    if (reading.unread() > UNREAD_BYTES_MAX) meet("slow");
    else reading.deliver(delivery);
  }
}

interface Page {
  entries: LogEntry[];
  full: boolean;
  /** What running turns have said, where no channel with readers knows it yet. */
  words: Words[];
}

function readPage(orgId: string, threadId: string, after: number): Promise<Page> {
  const channel = channelOf(orgId, threadId);
  return tenant(orgId, async (tx) => {
    const words =
      channel !== null && channel.readers > 0 ? [] : await readSaid(tx, orgId, [threadId], channel?.known() ?? {});
    return { ...(await readLog(tx, orgId, threadId, after, REPLAY_PAGE)), words };
  });
}

function replayed(place: Place, entry: LogEntry, isBack: boolean): Delivery[] {
  if (isBack) return takeEntry(place, entry);
  const stored = takeStored(place, entry);
  return stored ? [stored] : [];
}

/** Waits until a slow reader has taken most of what it was given; false when it has not in DRAIN_MS_MAX. */
async function drained({ unread }: Reading, isWaiting: () => boolean): Promise<boolean> {
  const until = performance.now() + DRAIN_MS_MAX;
  while (isWaiting() && unread() > UNREAD_BYTES_MAX / 2) {
    if (performance.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
  }
  return true;
}
