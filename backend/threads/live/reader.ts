import type { Cursor } from "../../lib/cursor";
import type { LogEntry } from "../../lib/events";
import type { Channel } from "./channel";
import { cursorAt, type Delivery, type Place, placeAt, takeEntry, takeStored, turnEndedBy, type Words } from "./place";
import { isReaderEnd, nextReaderState, type ReaderEnd, type ReaderEvent, type ReaderState } from "./reader-state";
import { isShown, type Shown } from "./shown";

/** A reader with this much unread is ended: it resumes from the log, and costs a cursor instead of memory. */
export const UNREAD_BYTES_MAX = 1 << 20;
/** A reader of a long history that takes nothing for so long is ended. */
const DRAIN_MS_MAX = 15_000;
const DRAIN_LOOK_MS = 10;

/** A part of the log, as it was read at one time. */
export interface Page {
  entries: LogEntry[];
  /** Whether it ended at a bound: there may be more. */
  full: boolean;
  /** What running turns had said, where no channel with readers knows it. */
  words: Words[];
}

const NOTHING: Page = { entries: [], full: true, words: [] };

/** Where a reader has its thread from: read.ts binds it to the database and to this process's channels. */
export interface Source {
  readPage(after: number): Promise<Page>;
  /** What a new reader is shown of the past. */
  readShown(): Promise<Shown>;
  /** The thread's channel, made at `seq` when there is none, and kept until it is released. */
  hold(seq: number): { channel: Channel; release(): void };
  /** Brings the channel to the end of the log. */
  refresh(): Promise<void>;
}

export interface Reading {
  threadId: string;
  /** Where the reader stands; null for a new one, who is shown the conversation's messages and nothing else of the past. */
  from: Cursor | null;
  /** Ends the reading: the client has gone, or its time is over. */
  signal: AbortSignal;
  /** Passes one thing on to the client, with the cursor that stands after it. Must not wait, and must not throw. */
  deliver(delivery: Delivery): void;
  /** Bytes passed on that the client has not taken; 0 where the transport cannot tell. */
  unread(): number;
}

/**
 * A reader of a thread, through the states of reader-state.ts: given the log after its place, `caught_up`, the words of running turns
 * that it lacks, and then whatever happens. Resolves with why it ended; rejects when the source cannot be read.
 */
export async function runReader(reading: Reading, source: Source): Promise<ReaderEnd> {
  const { threadId, from, signal } = reading;
  const place = placeAt(threadId, from);
  let state: ReaderState = "replaying";
  let why: ReaderEnd = "left";
  let wake = () => {};
  let leave = () => {};
  let hold: ReturnType<Source["hold"]> | null = null;
  let page = NOTHING;
  let shown: Shown | null = null; // for a new reader, once it is known
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
            if (from === null) shown ??= await source.readShown();
            page = await source.readPage(place.seq);
            after = 0;
          }
          while (after < page.entries.length && isNow("replaying")) {
            for (const delivery of replayed(place, page.entries[after] as LogEntry, shown)) reading.deliver(delivery);
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
          hold ??= source.hold(place.seq);
          const { channel } = hold;
          channel.append(page.entries);
          if (channel.seq < place.seq) await source.refresh();
          if (!isNow("joining")) break;
          if (channel.seq === place.seq) {
            // A turn that ended between the two readings: a channel that was made after its end does not know it.
            const ended = new Set(page.entries.map(({ event }) => turnEndedBy(event)));
            for (const words of page.words) if (!ended.has(words.turnId)) channel.catchUp(words);
            const caughtUp = { type: "caught_up", thread_id: threadId, last_seq: place.seq } as const;
            reading.deliver({ event: caughtUp, cursor: cursorAt(place), seq: null });
            leave = channel.join({ deliver, end: meet }, place);
            page = NOTHING; // a reader stays for minutes, and needs what it was given no more
            shown = null;
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

/** `shown` is null for a reader that comes back: it is given everything. */
function replayed(place: Place, entry: LogEntry, shown: Shown | null): Delivery[] {
  const isSwitch = entry.event.type === "branch_switched";
  if (shown === null || (isSwitch && entry.seq > shown.upTo)) return takeEntry(place, entry);
  const stored = takeStored(place, entry);
  // A reaction stays with its message, whatever branch it was made in.
  const isPast = entry.event.type === "message" && !isShown(shown, entry.seq);
  return stored && !isPast ? [stored] : [];
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
