import { randomUUID } from "node:crypto";
import { Socket } from "node:net";
import pg from "pg";
import { keepConnected } from "./connected";
import type { Ears, Fanout } from "./fanout";
import { decodeHints, encodeHints, type Hints } from "./hints";

const CHANNEL = "graphyn_hints";
/** For a connection to be made, and for a statement on it: longer means that nobody is there. */
const CONNECT_MS_MAX = 5_000;
const STATEMENT_MS_MAX = 5_000;
/** A connection that only listens would not notice that the other end is gone: so often it asks. */
const PING_MS = 10_000;
/** For a goodbye: one that hears nothing any more does not answer it. */
const END_MS_MAX = 500;

/**
 * Hints over PostgreSQL's LISTEN and NOTIFY, on one connection of their own: Encore's SQLDatabase has no LISTEN, and a pool in
 * transaction mode loses it. Hints are sent outside the transactions they tell of, many in one: every transaction that notifies takes
 * one lock of the whole server when it commits, so NOTIFY in each of them would make all of them wait for each other.
 */
export function openPostgresFanout(url: string, ears: Ears): Fanout {
  const self = randomUUID();
  let live: pg.Client | null = null;
  let unsent = false;
  let isReady = () => {};
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });

  const close = keepConnected({
    live: async (closing) => {
      const socket = new Socket();
      const client = new pg.Client({
        stream: () => socket,
        connectionString: url,
        application_name: "graphyn-hints",
        keepAlive: true,
        connectionTimeoutMillis: CONNECT_MS_MAX,
        query_timeout: STATEMENT_MS_MAX,
      });
      let breaks: (error: unknown) => void = () => {};
      const broken = new Promise<never>((_, reject) => {
        breaks = reject;
      });
      broken.catch(() => undefined); // may break before anybody waits for it
      client.on("error", breaks);
      client.on("end", () => breaks(new Error("the connection ended")));
      client.on("notification", ({ payload = "" }) => {
        const hints = decodeHints(self, payload);
        if (hints !== null) ears.hear(hints);
      });
      const ping = setInterval(() => void client.query("select 1").catch(breaks), PING_MS);
      const onClose = () => breaks(new Error("closed"));
      closing.addEventListener("abort", onClose, { once: true });
      try {
        await client.connect();
        // A hint need not survive a crash of the server, so its commit need not wait for the disk.
        await client.query(`set synchronous_commit = off; listen ${CHANNEL}`);
        live = client;
        ears.hear("all"); // what was said before this connection listened
        isReady();
        if (unsent) await notify("all");
        await broken;
      } finally {
        live = null;
        clearInterval(ping);
        closing.removeEventListener("abort", onClose);
        const late = setTimeout(() => socket.destroy(), END_MS_MAX);
        await client.end().catch(() => undefined);
        clearTimeout(late);
      }
    },
    onBroken: (error, pauseMs) =>
      ears.warn("the connection for hints between processes broke; it is made again", {
        error: String(error),
        pause_ms: pauseMs,
      }),
  });

  async function notify(hints: Hints): Promise<void> {
    const client = live;
    if (!client) {
      unsent = true;
      return;
    }
    try {
      await client.query("select pg_notify($1, payload) from unnest($2::text[]) as payload", [
        CHANNEL,
        encodeHints(self, hints),
      ]);
      if (hints === "all") unsent = false;
    } catch (error) {
      unsent = true;
      client.emit("error", error instanceof Error ? error : new Error(String(error)));
    }
  }

  return { send: notify, ready, close };
}
