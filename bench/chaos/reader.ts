/** Readers over SSE that come back with their cursor, and do on the way what readers do: break off, stop reading, vanish. */
import { type IncomingMessage, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { createParser } from "eventsource-parser";
import { disconnected, newJournal, write } from "../../backend/__tests__/harness/journal";
import type { Reading } from "../../backend/__tests__/harness/oracle/history";
import type { ThreadEvent } from "../../backend/lib/events";
import type { Party, Urls } from "./party";
import { stoodStill } from "./stood-still";

/** `stall` takes nothing for some seconds and goes on; `vanish` does not go on, and its connection stays open meanwhile. */
export type Manner = "stay" | "break" | "stall" | "vanish";

export interface Reader {
  reading: Reading;
  /** The last entry it has. */
  seq(): number;
  /** From now on it stays and reads. */
  behave(): void;
  /** Cuts its connection, as a network does. */
  drop(): void;
  close(): Promise<void>;
}

interface Options {
  party: Party;
  threadId: string;
  manner: Manner;
  urls: Urls;
  random: () => number;
  /** Its cursor and that cursor's seq; null: a new reader. */
  from: { cursor: string; seq: number } | null;
}

const BREAK_BYTES_MAX = 6_000;
const STALL_MS = [2_000, 5_000] as const;
const PAUSE_MS = [50, 400] as const;
/** Nothing for so long, not even a heartbeat: nobody is there. */
const SILENCE_MS_MAX = 20_000;

export function startReader({ party, threadId, manner, urls, random, from }: Options): Reader {
  const journal = newJournal(from);
  const reading: Reading = { who: `a reader who ${manner}s`, orgId: party.orgId, threadId, journal, faults: [] };
  let how = manner;
  let isOver = false;
  let cut: () => void = () => {};
  const between = ([least, most]: readonly [number, number]) => least + random() * (most - least);

  function connectOnce(url: string): Promise<void> {
    return new Promise((resolve) => {
      const begun = performance.now();
      const decoder = new TextDecoder();
      const parser = createParser({ onEvent: ({ id, data }) => write(journal, id, JSON.parse(data) as ThreadEvent) });
      const resumes = journal.lastId === null ? {} : { "last-event-id": journal.lastId };
      const asked = request(`${url}/threads/${threadId}/stream`, {
        headers: { authorization: `Bearer ${party.apiKey}`, ...resumes },
      });
      let left = how === "stay" ? Number.POSITIVE_INFINITY : 1 + random() * BREAK_BYTES_MAX;
      let silence = setTimeout(() => asked.destroy(), SILENCE_MS_MAX);
      let isGone = false;
      const over = () => {
        isGone = true; // what it had not taken yet, as while it stalled, is lost with the connection
        clearTimeout(silence);
        disconnected(journal);
        resolve();
      };
      cut = () => asked.destroy();
      asked.on("error", over).on("close", over);
      asked.on("response", (answer) => {
        answer.on("error", over);
        if (answer.statusCode !== 200) return void refused(answer, url, begun);
        answer.on("data", (bytes: Buffer) => {
          if (isGone || isOver) return;
          clearTimeout(silence);
          silence = setTimeout(() => asked.destroy(), SILENCE_MS_MAX);
          const taken = how === "break" ? bytes.subarray(0, Math.min(left, bytes.length)) : bytes;
          try {
            parser.feed(decoder.decode(taken, { stream: true }));
          } catch (error) {
            reading.faults.push(String(error));
            isOver = true;
            asked.destroy();
          }
          left -= bytes.length;
          if (left > 0 || how === "stay") return;
          if (how === "break") return void asked.destroy();
          left = 1 + random() * BREAK_BYTES_MAX;
          answer.pause();
          const isGoing = how === "vanish";
          setTimeout(() => (isGoing ? asked.destroy() : answer.resume()), between(STALL_MS));
        });
      });
      asked.end();
    });
  }

  async function refused(answer: IncomingMessage, url: string, begun: number): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of answer) parts.push(part as Buffer);
    const body = Buffer.concat(parts).toString();
    const ended = performance.now();
    const ms = ended - begun - stoodStill(url, begun, ended);
    party.answers.push({ orgId: party.orgId, what: "GET stream", status: answer.statusCode ?? 0, ms, body });
  }

  const run = (async () => {
    for (let tries = 0; !isOver; tries++) {
      await connectOnce(urls(tries));
      if (!isOver) await sleep(between(PAUSE_MS));
    }
  })();
  return {
    reading,
    seq: () => journal.entries.at(-1)?.seq ?? 0,
    behave: () => {
      how = "stay";
    },
    drop: () => cut(),
    close: async () => {
      isOver = true;
      cut();
      await run;
    },
  };
}
