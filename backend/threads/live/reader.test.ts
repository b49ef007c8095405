import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { compared, disconnected, newJournal, write } from "../../__tests__/harness/journal";
import { entryCursor, parseCursor } from "../../lib/cursor";
import type { LogEntry } from "../../lib/events";
import { type Channel, createChannel } from "./channel";
import type { Delivery } from "./place";
import { type Client, ThreadReader, UNREAD_BYTES_MAX } from "./reader";
import { READER_TRANSITIONS, type ReaderEnd, type ReaderState } from "./reader-state";

const THREAD = "thread_01h455vb4pex5vsknk084sn02q";
const PAGE = 10;
/** Longer than a reader of a long history is waited for. */
const LONG_MS = 60_000;

const joined = (seq: number): LogEntry => ({
  seq,
  event: {
    type: "participant",
    thread_id: THREAD,
    action: "joined",
    participant_id: `part_${seq}`,
    kind: "user",
    name: "Ada",
    role: "speaker",
  },
});

/** A thread in one process, and a client that takes what it is given only when it is told to. */
function thread(entries: number) {
  const log = Array.from({ length: entries }, (_, index) => joined(index + 1));
  const channel: Channel = createChannel(THREAD, 0);
  const journal = newJournal({ cursor: entryCursor(THREAD, 0), seq: 0 });
  const unread: Delivery[] = [];
  const slowClient = {
    deliver: (delivery: Delivery) => void unread.push(delivery),
    unread: () => (unread.length * UNREAD_BYTES_MAX) / 20,
  };
  let pages = 0;
  return {
    log,
    channel,
    journal,
    unread,
    pages: () => pages,
    /** Resolves with why it ended. */
    read(signal: AbortSignal, client: Pick<Client, "deliver" | "unread"> = slowClient): Promise<ReaderEnd> {
      const from = parseCursor(THREAD, journal.lastId ?? "");
      return new Promise((resolve, reject) => {
        const reader = new ThreadReader({ ...client, ended: resolve });
        signal.addEventListener("abort", () => reader.leave());
        const source = {
          readPage: async (after: number) => {
            pages++;
            const page = log.slice(after, after + PAGE);
            return { entries: page, full: page.length === PAGE, words: [] };
          },
          readShown: async () => ({ upTo: log.length, spans: [{ lo: 1, hi: log.length }] }),
          hold: () => ({ channel, release: () => undefined }),
          refresh: async () => channel.append(log),
        };
        reader.begin({ threadId: THREAD, from }, source).catch(reject);
      });
    },
    take() {
      for (const { event, cursor } of unread.splice(0)) write(journal, cursor, event);
    },
  };
}

describe("a reader (SPEC.md)", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("of a long history is waited for while it reads, and then goes on (SSE-4)", async () => {
    const { log, channel, journal, unread, read, take } = thread(95);
    const leaving = new AbortController();
    const end = read(leaving.signal);
    const most: number[] = [];
    while (journal.entries.length < log.length) {
      await vi.advanceTimersByTimeAsync(50);
      most.push(unread.length);
      take();
    }
    expect(Math.max(...most)).toBeLessThan(25); // a little more than what may be unread, of 95
    const { has, should } = compared(journal, log);
    expect(has).toEqual(should);
    expect(channel.readers).toBe(1);
    leaving.abort();
    expect(await end).toBe("left");
    expect(channel.readers).toBe(0);
  });

  it("of a long history that takes nothing is ended, and resumes with what it took (SSE-4)", async () => {
    const { log, channel, journal, unread, read, take } = thread(95);
    const end = read(new AbortController().signal);
    await vi.advanceTimersByTimeAsync(LONG_MS);
    expect(await end).toBe("slow");
    expect(channel.readers).toBe(0);
    // Of what was written, the client was given seven events.
    unread.splice(7);
    take();
    disconnected(journal);
    const leaving = new AbortController();
    const again = read(leaving.signal);
    while (journal.entries.length < log.length) {
      await vi.advanceTimersByTimeAsync(50);
      take();
    }
    expect(compared(journal, log).has).toEqual(log);
    leaving.abort();
    await again;
  });

  it("that stops reading while it is live is ended, and the others are not (SSE-4)", async () => {
    const { log, channel, journal, unread, read, take } = thread(1);
    const leaving = new AbortController();
    const slow = read(new AbortController().signal);
    const seen: (number | null)[] = [];
    const quick = read(leaving.signal, { deliver: ({ seq }) => void seen.push(seq), unread: () => 0 });
    await vi.advanceTimersByTimeAsync(10);
    take();
    for (let seq = 2; seq <= 60; seq++) {
      log.push(joined(seq));
      channel.append(log.slice(-1));
    }
    expect(await slow).toBe("slow");
    expect(channel.readers).toBe(1);
    expect(unread.length).toBeLessThan(25);
    expect(seen.filter((seq) => seq !== null)).toEqual(log.map(({ seq }) => seq));
    leaving.abort();
    await quick;
    expect(journal.entries.at(-1)?.seq).toBe(1);
  });

  it("of a thread that is erased is told so, in its replay and live (SSE-4)", async () => {
    const live = thread(1);
    const end = live.read(new AbortController().signal);
    await vi.advanceTimersByTimeAsync(1);
    live.channel.close();
    expect(await end).toBe("erased");

    // The channel has an entry that the log, read after it, has not.
    const gone = thread(3);
    gone.channel.append(gone.log);
    gone.log.length = 0;
    expect(await gone.read(new AbortController().signal)).toBe("erased");
    expect(gone.pages()).toBe(2);
  });

  it("that has ended is moved by nothing, and every state can end (SSE-4)", () => {
    expect(new Set(Object.values(READER_TRANSITIONS.ended))).toEqual(new Set(["ended"]));
    for (const state of Object.keys(READER_TRANSITIONS) as ReaderState[])
      for (const end of ["left", "slow", "lost", "erased"] as const)
        expect(READER_TRANSITIONS[state][end]).toBe("ended");
  });
});
