import type { Readable } from "node:stream";
import { ARCHIVE_BYTES_MAX, ARCHIVE_MS_MAX, LINE_BYTES_MAX } from "./format";

export interface Line {
  /** From 1. */
  number: number;
  /** With its line feed. */
  bytes: Buffer;
  text: string;
}

const LINE_FEED = 0x0a;
/** How long a sender may be silent. */
export const PIECE_MS_MAX = 20_000;

/** What keeps a body from being read as lines; refused.ts has the answer to each. */
export class BadLines extends Error {
  constructor(
    readonly why: "cut_off" | "too_large" | "too_slow" | "no_utf8",
    /** The line at which it was, from 1. */
    readonly line: number,
  ) {
    super(why);
  }
}

/**
 * A request's body as lines, each bounded and of whole characters; no more than a piece and a line is in memory. Leaves the request open, so
 * that it can be answered whatever happens. Throws BadLines.
 */
export async function* readLines(body: Readable): AsyncGenerator<Line> {
  const until = performance.now() + ARCHIVE_MS_MAX;
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let parts: Buffer[] = [];
  let partBytes = 0;
  let all = 0;
  let number = 0;
  const line = (end: Buffer): Line => {
    const bytes = parts.length === 0 ? end : Buffer.concat([...parts, end]);
    parts = [];
    partBytes = 0;
    number++;
    try {
      return { number, bytes, text: decoder.decode(bytes.subarray(0, -1)) };
    } catch {
      throw new BadLines("no_utf8", number);
    }
  };
  for await (const piece of piecesOf(body)) {
    if (performance.now() > until) throw new BadLines("too_slow", number + 1);
    all += piece.length;
    if (all > ARCHIVE_BYTES_MAX) throw new BadLines("too_large", number + 1);
    let from = 0;
    for (let at = piece.indexOf(LINE_FEED); at >= 0; at = piece.indexOf(LINE_FEED, from)) {
      yield line(piece.subarray(from, at + 1));
      from = at + 1;
    }
    if (from < piece.length) parts.push(piece.subarray(from));
    partBytes += piece.length - from;
    if (partBytes > LINE_BYTES_MAX) throw new BadLines("too_large", number + 1);
  }
  if (partBytes > 0) throw new BadLines("cut_off", number + 1);
}

/** Node's own iterator destroys the request when it is left, and with it the answer; told not to, it fails on a raw endpoint's request. */
async function* piecesOf(body: Readable): AsyncGenerator<Buffer> {
  let wake = () => {};
  let broken = false;
  const look = () => wake();
  const breaks = () => {
    broken = !body.readableEnded;
    wake();
  };
  body.on("readable", look).on("end", look).on("error", breaks).on("close", breaks);
  try {
    for (;;) {
      const piece = body.read() as Buffer | null;
      if (piece !== null) {
        yield piece;
        continue;
      }
      if (body.readableEnded) return;
      if (broken) throw new BadLines("cut_off", 0);
      const isSilent = await new Promise<boolean>((resolve) => {
        const late = setTimeout(() => resolve(true), PIECE_MS_MAX);
        wake = () => {
          clearTimeout(late);
          resolve(false);
        };
      });
      if (isSilent) throw new BadLines("too_slow", 0);
    }
  } finally {
    body.off("readable", look).off("end", look).off("close", breaks); // "error" stays: one that nobody listens for would end the process
  }
}
