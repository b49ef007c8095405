import type { Readable } from "node:stream";

/** Pieces that came and were not read yet; then the connection is told to wait. */
const WAITING_MAX = 16;

/** A body, piece by piece. */
export interface Chunks {
  /** The next piece, as soon as it is there; null at the end. Rejects with what the connection threw. One call at a time. */
  next(): Promise<Uint8Array | null>;
}

/** For answers that come token by token: a stream's own iterator takes about ten promises for a piece, this one two. */
export function chunksOf(body: Readable): Chunks {
  const waiting: Uint8Array[] = [];
  let end: { error: unknown } | null = null;
  let wake = () => {};
  const over = (error: unknown) => {
    end ??= { error };
    wake();
  };
  body.on("data", (chunk: Uint8Array) => {
    waiting.push(chunk);
    if (waiting.length >= WAITING_MAX) body.pause();
    wake();
  });
  body.once("end", () => over(null));
  body.once("error", over);
  body.once("close", () => over(new Error("the connection was closed")));
  return {
    async next() {
      if (waiting.length === 0 && end === null)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      const chunk = waiting.shift();
      if (chunk !== undefined) {
        if (waiting.length === 0 && body.isPaused()) body.resume();
        return chunk;
      }
      if (end?.error) throw end.error;
      return null;
    },
  };
}
