/** Many readers of event streams in one process of their own: raw sockets that count events; the first of each URL read them. */
import { connect, type Socket } from "node:net";
import { createParser } from "eventsource-parser";
import { ownSeconds } from "../lib/cpu";
import { type Checked, type Collected, type Heard, monotonicMs, type Stormed, type ToReaders } from "./messages";

/** Opened at a time, so that the server's backlog is not what is measured. */
const OPENING_MAX = 100;
const OPEN_MS_MAX = 120_000;

interface Reader {
  url: string;
  index: number;
  attentive: boolean;
  isFirst: boolean;
  socket: Socket | null;
  caughtUp: boolean;
  /** Of the attentive: the last event's id, entries by their name, and answers' texts by turn. */
  lastId: string;
  entries: Set<string>;
  texts: Map<string, string>;
  wrong: string[];
}

let readers: Reader[] = [];
let headers: Record<string, string> = {};
let isClosing = false;
let events = 0;
let bytes = 0;
let ended = 0;
let lost = 0;
let heard: Heard[] = [];
let onCaughtUp = () => {};

interface Event {
  type?: string;
  at?: number;
  turn_id?: string;
  offset?: number;
  content?: string;
  message?: { id: string; turn_id: string | null; content: string };
}

const WRONG_MAX = 10;

function attend(reader: Reader, id: string | undefined, data: string): void {
  const event = JSON.parse(data) as Event | Event[];
  if (id !== undefined) reader.lastId = id;
  for (const one of Array.isArray(event) ? event : [event]) {
    if (one.at !== undefined) heard.push({ url: reader.index, end: one.at, at: monotonicMs() });
    else if (one.type === "ai_chunk") {
      const text = reader.texts.get(one.turn_id ?? "") ?? "";
      if (one.offset !== text.length) reader.wrong.push(`a piece at ${one.offset} after ${text.length} characters`);
      reader.texts.set(one.turn_id ?? "", text + one.content);
      heard.push({ url: reader.index, end: (one.offset ?? 0) + (one.content?.length ?? 0), at: monotonicMs() });
    } else if (one.type === "message" && one.message) {
      enter(reader, one.message.id);
      const said = one.message.turn_id === null ? undefined : reader.texts.get(one.message.turn_id);
      if (said !== undefined && said !== one.message.content) reader.wrong.push("pieces that do not join");
    } else if (one.type === "turn_completed" || one.type === "agent_error") {
      enter(reader, `${one.type} ${one.turn_id}`);
      if (reader.isFirst) ended++;
    }
  }
}

function enter(reader: Reader, entry: string): void {
  if (reader.entries.has(entry)) reader.wrong.push(`twice: ${entry}`);
  reader.entries.add(entry);
}

function open(reader: Reader): void {
  const { hostname, port, pathname, search } = new URL(reader.url);
  const socket = connect(Number(port), hostname);
  reader.socket = socket;
  reader.caughtUp = false;
  const resume = reader.lastId === "" ? {} : { "Last-Event-ID": reader.lastId };
  const lines = Object.entries({ Host: `${hostname}:${port}`, Accept: "text/event-stream", ...headers, ...resume });
  socket.write(
    `GET ${pathname}${search} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
  );
  const parser = reader.attentive ? createParser({ onEvent: ({ id, data }) => attend(reader, id, data) }) : null;
  const unchunk = parser ? makeUnchunk((text) => parser.feed(text)) : null;
  let last = 0;
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    // An event ends with an empty line. Chunks' own line breaks are CRLF, so they never look like one.
    let found = last === 10 && chunk[0] === 10 ? 1 : 0;
    for (let at = chunk.indexOf("\n\n"); at >= 0; at = chunk.indexOf("\n\n", at + 2)) found++;
    last = chunk[chunk.length - 1] ?? 0;
    events += found;
    unchunk?.(chunk);
    if (!reader.caughtUp && (chunk.includes("caught_up") || chunk.includes("event: control"))) {
      reader.caughtUp = true;
      onCaughtUp();
    }
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    if (!isClosing && reader.socket === socket) lost++;
  });
}

/** The body of a chunked answer as text. */
function makeUnchunk(feed: (text: string) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  let inBody = false;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    if (!inBody) {
      const end = rest.indexOf("\r\n\r\n");
      if (end < 0) return;
      const status = rest.subarray(9, 12).toString();
      if (status !== "200") throw new Error(`a stream was answered ${rest.subarray(0, 400).toString()}`);
      rest = rest.subarray(end + 4);
      inBody = true;
    }
    for (;;) {
      const line = rest.indexOf("\r\n");
      if (line < 0) return;
      const size = Number.parseInt(rest.subarray(0, line).toString(), 16);
      if (rest.length < line + 2 + size + 2) return;
      feed(rest.subarray(line + 2, line + 2 + size).toString());
      rest = rest.subarray(line + 2 + size + 2);
    }
  };
}

async function openAll(which: readonly Reader[]): Promise<void> {
  const until = performance.now() + OPEN_MS_MAX;
  let next = 0;
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("streams did not open in time")), until - performance.now());
    let done = 0;
    onCaughtUp = () => {
      if (++done === which.length) {
        clearTimeout(late);
        resolve();
      } else more();
    };
    const more = () => {
      const reader = which[next++];
      if (reader) open(reader);
    };
    for (let i = 0; i < OPENING_MAX; i++) more();
  });
}

async function storm(): Promise<Stormed> {
  isClosing = true;
  for (const { socket } of readers) socket?.destroy();
  isClosing = false;
  const begun = performance.now();
  await openAll(readers);
  return { ms: performance.now() - begun };
}

function check(): Checked {
  const counts = readers.filter(({ attentive }) => attentive).map(({ entries }) => entries.size);
  const wrong = readers.flatMap(({ wrong }) => wrong).slice(0, WRONG_MAX);
  return { entriesMin: Math.min(...counts), entriesMax: Math.max(...counts), wrong };
}

process.on("message", async (message: ToReaders) => {
  switch (message.do) {
    case "open": {
      headers = message.headers;
      const made = message.urls.flatMap((url, index) =>
        Array.from({ length: message.each }, (_, i) => ({
          url,
          index,
          attentive: i < message.attentive,
          isFirst: i === 0,
          socket: null,
          caughtUp: false,
          lastId: "",
          entries: new Set<string>(),
          texts: new Map<string, string>(),
          wrong: [],
        })),
      );
      readers = [...readers, ...made];
      await openAll(made);
      process.send?.({ opened: readers.length });
      break;
    }
    case "collect": {
      const collected: Collected = { events, bytes, ended, heard, lost, cpuSeconds: ownSeconds() };
      process.send?.(collected);
      events = bytes = ended = lost = 0;
      heard = [];
      break;
    }
    case "storm":
      process.send?.(await storm());
      break;
    case "check":
      process.send?.(check());
      break;
    case "close":
      isClosing = true;
      for (const { socket } of readers) socket?.destroy();
      readers = [];
      isClosing = false;
      process.send?.({ closed: true });
      break;
    default:
      message satisfies never;
  }
});
