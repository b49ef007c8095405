import type { Cursor } from "../../lib/cursor";
import type { LogEntry } from "../../lib/events";
import type { Channel, Reader } from "./channel";
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
}

/** Whoever is given the thread. */
export interface Client {
  /** Passes one thing on, with the cursor that stands after it. Must not wait, and must not throw. */
  deliver(delivery: Delivery): void;
  /** Bytes passed on that were not taken; 0 where the transport cannot tell. */
  unread(): number;
  /** The reader has ended: nothing more is given. Once. */
  ended(why: ReaderEnd): void;
}

/**
 * A reader of a thread, through the states of reader-state.ts: given the log after its place, `caught_up`, the words of running turns
 * that it lacks, and then whatever happens. One that waits for what happens is this object, in its channel, and no function under way:
 * thousands wait, and what they came with is forgotten (measured: bench/fanout, memory of an idle reader).
 */
export class ThreadReader implements Reader {
  #state: ReaderState = "replaying";
  #hold: ReturnType<Source["hold"]> | null = null;
  #leaveChannel: (() => void) | null = null;
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Resolves when it is live, or has ended. Rejects when the source cannot be read: then it has ended too, and its client, which hears
   * of it by this, is not told.
   */
  async begin(reading: Reading, source: Source): Promise<void> {
    try {
      await this.#catchUp(reading, source);
    } catch (error) {
      this.#state = nextReaderState(this.#state, "left");
      this.#letGo();
      throw error;
    }
  }

  /** Ends it: the client has gone, or its time is over. */
  leave(): void {
    this.#meet("left");
  }

  deliver(delivery: Delivery): void {
    if (this.#isNow("ended")) return;
    if (this.#client.unread() > UNREAD_BYTES_MAX) this.#meet("slow");
    else this.#client.deliver(delivery);
  }

  end(why: "lost" | "erased"): void {
    this.#meet(why);
  }

  async #catchUp({ threadId, from }: Reading, source: Source): Promise<void> {
    const place = placeAt(threadId, from);
    let page = NOTHING;
    let shown: Shown | null = null; // for a new reader, once it is known
    let after = 0; // entries of the page that were given
    let mustReach = 0; // the channel had this entry before the last look at the log

    while (!this.#isNow("live") && !this.#isNow("ended")) {
      switch (this.#state) {
        case "replaying": {
          if (after === page.entries.length) {
            if (from === null) shown ??= await source.readShown();
            page = await source.readPage(place.seq);
            after = 0;
          }
          while (after < page.entries.length && this.#isNow("replaying")) {
            for (const delivery of replayed(place, page.entries[after] as LogEntry, shown))
              this.#client.deliver(delivery);
            after++;
            if (this.#client.unread() > UNREAD_BYTES_MAX && this.#isNow("replaying")) this.#meet("full");
          }
          if (this.#isNow("replaying")) this.#meet(page.full ? "page" : "log_end");
          break;
        }
        case "draining":
          this.#meet((await drained(this.#client, () => this.#isNow("draining"))) ? "drained" : "slow");
          break;
        case "joining": {
          this.#hold ??= source.hold(place.seq);
          const { channel } = this.#hold;
          channel.append(page.entries);
          if (channel.seq < place.seq) await source.refresh();
          if (!this.#isNow("joining")) break;
          if (channel.seq === place.seq) {
            // A turn that ended between the two readings: a channel that was made after its end does not know it.
            const ended = new Set(page.entries.map(({ event }) => turnEndedBy(event)));
            for (const words of page.words) if (!ended.has(words.turnId)) channel.catchUp(words);
            const caughtUp = { type: "caught_up", thread_id: threadId, last_seq: place.seq } as const;
            this.#client.deliver({ event: caughtUp, cursor: cursorAt(place), seq: null });
            this.#leaveChannel = channel.join(this, place);
            if (this.#isNow("ended")) this.#letGo();
            else this.#meet("joined");
          } else if (place.seq < mustReach) {
            this.#meet("erased"); // what a channel has is committed: a log that ends before it is no more
          } else {
            mustReach = channel.seq;
            this.#meet("behind");
          }
          break;
        }
        case "live":
        case "ended":
          break;
      }
    }
  }

  #meet(event: ReaderEvent): void {
    const isEnd = !this.#isNow("ended") && isReaderEnd(event);
    this.#state = nextReaderState(this.#state, event);
    if (!isEnd) return;
    this.#letGo();
    this.#client.ended(event);
  }

  /** Other events than its own may have moved it meanwhile. */
  #isNow(expected: ReaderState): boolean {
    return this.#state === expected;
  }

  #letGo(): void {
    this.#leaveChannel?.();
    this.#leaveChannel = null;
    this.#hold?.release();
    this.#hold = null;
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
async function drained(client: Client, isWaiting: () => boolean): Promise<boolean> {
  const until = performance.now() + DRAIN_MS_MAX;
  while (isWaiting() && client.unread() > UNREAD_BYTES_MAX / 2) {
    if (performance.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
  }
  return true;
}
