import { randomUUID } from "node:crypto";
import { createClient } from "@redis/client";
import { keepConnected } from "./connected";
import type { Ears, Fanout } from "./fanout";
import { decodeHints, encodeHints, type Hints } from "./hints";

/** One stream for all: ids of threads are unique, so Graphyns that share a Redis only hear hints that mean nothing to them. */
const STREAM = "graphyn:hints";
/** Hints kept; more than a minute's of a large fleet. Whoever was away for longer looks at everything when it is back. */
const STREAM_ENTRIES_MAX = 10_000;
const READ_ENTRIES_MAX = 200;
const BLOCK_MS = 5_000;
/** For a connection, with its greeting: the client's own bound ends with TCP's, and whoever takes connections may say nothing on them. */
const CONNECT_MS_MAX = 5_000;
/** For an answer; a blocking read has its own time besides. Longer means that nobody is there. */
const ANSWER_MS_MAX = 5_000;

/** Hints over a Redis stream, for fleets whose database should not carry them: each process reads all from where it stands. */
export function openRedisFanout(url: string, ears: Ears): Fanout {
  const self = randomUUID();
  let writer: Client | null = null;
  let unsent = false;
  let isReady = () => {};
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });

  const close = keepConnected({
    live: async (closing) => {
      let breaks: (error: unknown) => void = () => {};
      const broken = new Promise<never>((_, reject) => {
        breaks = reject;
      });
      broken.catch(() => undefined); // may break before anybody waits for it
      const reads = connect(url, breaks); // a blocking read occupies its connection, so each process has two
      const writes = connect(url, breaks);
      const onClose = () => breaks(new Error("closed"));
      closing.addEventListener("abort", onClose, { once: true });
      try {
        await Promise.race([within(Promise.all([reads.connect(), writes.connect()]), CONNECT_MS_MAX), broken]);
        let at = await Promise.race([newest(writes), broken]);
        writer = writes;
        ears.hear("all"); // what was said before this place in the stream
        isReady();
        if (unsent) await send("all");
        for (;;) {
          const read = reads.xRead({ key: STREAM, id: at }, { BLOCK: BLOCK_MS, COUNT: READ_ENTRIES_MAX });
          const streams = await Promise.race([within(read, BLOCK_MS + ANSWER_MS_MAX), broken]);
          for (const entry of messagesOf(streams)) {
            at = entry.id;
            const hints = decodeHints(self, entry.message.hints ?? "");
            if (hints !== null) ears.hear(hints);
          }
        }
      } finally {
        writer = null;
        closing.removeEventListener("abort", onClose);
        for (const client of [reads, writes]) if (client.isOpen) client.destroy();
      }
    },
    onBroken: (error, pauseMs) =>
      ears.warn("the connection to Redis for hints between processes broke; it is made again", {
        error: String(error),
        pause_ms: pauseMs,
      }),
  });

  async function send(hints: Hints): Promise<void> {
    const client = writer;
    if (!client) {
      unsent = true;
      return;
    }
    try {
      await within(
        Promise.all(encodeHints(self, hints).map((payload) => client.xAdd(STREAM, "*", { hints: payload }, trimmed()))),
        ANSWER_MS_MAX,
      );
      if (hints === "all") unsent = false;
    } catch (error) {
      unsent = true;
      client.emit("error", error);
    }
  }

  return { send, ready, close };
}

type Client = ReturnType<typeof connect>;

function connect(url: string, onError: (error: unknown) => void) {
  const client = createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    socket: { connectTimeout: CONNECT_MS_MAX, reconnectStrategy: false, keepAlive: true },
  });
  client.on("error", onError);
  return client;
}

function trimmed() {
  return { TRIM: { strategy: "MAXLEN", strategyModifier: "~", threshold: STREAM_ENTRIES_MAX } } as const;
}

/** The stream's newest entry, to read on from; the beginning when there is none. */
async function newest(client: Client): Promise<string> {
  const entries = await within(client.xRevRange(STREAM, "+", "-", { COUNT: 1 }), ANSWER_MS_MAX);
  return entries?.[0]?.id ?? "0-0";
}

interface Entry {
  id: string;
  message: Record<string, string>;
}

function messagesOf(streams: unknown): Entry[] {
  return ((streams ?? []) as { messages: Entry[] }[]).flatMap(({ messages }) => messages);
}

async function within<T>(answer: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ms} ms`)), ms);
  });
  answer.catch(() => undefined); // it may fail after it was given up
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
