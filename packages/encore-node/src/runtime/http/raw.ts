/**
 * Raw endpoints: `runtime.ResponseWriter` over Node's ServerResponse (runtimes/js/src/raw_api.rs). The head is kept
 * until the first byte, so that an error before it can still be an answer. Beyond Encore: when the client leaves, the
 * application's response and request close.
 */

import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import { chunkOf } from "./chunk.js";
import { sniff } from "./sniff.js";

type HeaderInput = string[] | Record<string, string | number | string[]>;

export class ResponseWriter {
  private status = 200;
  private headers: string[] = [];
  private state: "initial" | "streaming" | "done" = "initial";
  private readonly waiting: Buffer[] = [];
  private callbacks: (() => void)[] = [];
  private scheduled = false;

  constructor(
    private readonly res: ServerResponse,
    private readonly base: string[],
  ) {}

  get begun(): boolean {
    return this.state !== "initial" || this.waiting.length > 0;
  }

  writeHead(status: number, headers: HeaderInput): void {
    if (this.state !== "initial") return;
    if (!Number.isInteger(status) || status < 100 || status > 999) throw new Error("invalid status code");
    const flat = flatten(headers);
    for (let i = 0; i < flat.length; i += 2) check(flat[i] as string, flat[i + 1] as string);
    this.status = status;
    this.headers = flat;
  }

  writeBody(buf: Buffer, callback?: () => void): void {
    this.writeBodyMulti([buf], callback);
  }

  writeBodyMulti(bufs: Buffer[], callback?: () => void): void {
    if (this.state === "done" || this.res.destroyed) {
      if (callback) process.nextTick(callback);
      return;
    }
    if (this.state === "streaming") {
      const last = bufs.length - 1;
      for (let i = 0; i < last; i++) this.stream(bufs[i] as Buffer);
      this.stream(bufs[last] ?? Buffer.alloc(0), callback);
      return;
    }
    // The callbacks come first: if they end the answer, it was of one piece. Nothing leaves the process earlier anyway.
    this.waiting.push(...bufs);
    if (callback) this.callbacks.push(callback);
    if (this.scheduled) return;
    this.scheduled = true;
    process.nextTick(() => this.flush());
  }

  /**
   * A piece after the first. Node's own `write` takes four parts, a later tick and a writev for each; a chunk that goes to the socket whole
   * takes none of that, and is made once when one buffer goes to many clients (measured: bench/fanout).
   */
  private stream(buf: Buffer, callback?: () => void): void {
    const { res } = this;
    const { socket } = res;
    // Nothing of the answer may wait before it: a pipelined one has no socket yet.
    if (!socket || !res.chunkedEncoding || buf.length === 0 || res.writableLength !== socket.writableLength) {
      res.write(buf, () => callback?.()); // an error is not the application's: its client has gone
      return;
    }
    socket.write(chunkOf(buf));
    if (!callback) return;
    // The system has taken it, as it does unless the client is slow: no need to be told later.
    if (socket.writableLength === 0) callback();
    else socket.write("", "latin1", () => callback());
  }

  /** Gives a piece after the first to the system at once. False where anything waits before it, or there is no such way: nothing is done then. */
  straight(buf: Buffer): boolean {
    const { res } = this;
    const { socket } = res;
    if (this.state !== "streaming" || !socket || !res.chunkedEncoding || buf.length === 0) return false;
    if (res.writableLength !== 0 || socket.writableLength !== 0 || res.destroyed) return false;
    socket.write(chunkOf(buf));
    return true;
  }

  /** Sends the head and what was written; also before a connection is cut. */
  flush(): void {
    this.scheduled = false;
    const callbacks = this.callbacks;
    this.callbacks = [];
    for (const callback of callbacks) callback();
    if (this.waiting.length > 0) this.begin(false);
  }

  private begin(whole: boolean): void {
    if (this.state !== "initial") return;
    this.state = "streaming";
    const head = [...this.base, ...this.headers];
    if (!whole && !has(this.headers, "content-type") && this.waiting[0])
      head.push("content-type", sniff(this.waiting[0]));
    this.res.writeHead(this.status, head);
    makeFlat(this.res);
    for (const buf of this.waiting) this.res.write(buf);
    this.waiting.length = 0;
  }

  close(buf?: Buffer | null, callback?: () => void): void {
    if (this.state === "done" || this.res.destroyed) {
      this.state = "done";
      if (callback) process.nextTick(callback);
      return;
    }
    if (buf) this.waiting.push(buf);
    if (this.state === "initial") {
      if (this.waiting.length > 0) this.begin(true);
      else {
        const head = [...this.base, ...this.headers];
        const bodiless = this.status === 204 || this.status === 304;
        if (!bodiless && !has(this.headers, "content-length")) head.push("content-length", "0");
        this.res.writeHead(this.status, head);
      }
    } else if (buf) this.res.write(buf);
    this.state = "done";
    this.res.end(callback ? () => callback() : undefined);
  }
}

/**
 * Node keeps the head it made as the tree of pieces that it joined, some 40 objects, for as long as the answer lasts. Looking into it makes
 * it one string: a stream stays open for minutes.
 */
function makeFlat(res: ServerResponse): void {
  (res as unknown as { _header?: string })._header?.charCodeAt(0);
}

function flatten(headers: HeaderInput): string[] {
  if (Array.isArray(headers)) return headers.map(String);
  const out: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || value === null) continue;
    for (const v of Array.isArray(value) ? value : [value]) out.push(name.toLowerCase(), String(v));
  }
  return out;
}

function check(name: string, value: string): void {
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) throw new Error("invalid HTTP header name");
  if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) throw new Error("failed to parse header value");
}

function has(headers: string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if ((headers[i] as string).toLowerCase() === name) return true;
  return false;
}

/**
 * Calls the application's raw handler and finds the RawResponse that encore.dev makes for it on the way: the one
 * emitter made during the call that holds our writer. encore.dev gives no other way to it, and without it the
 * application could not hear that its client is gone.
 */
export function callRaw(call: () => unknown, writer: ResponseWriter): { result: unknown; response: Writable | null } {
  const emitter = EventEmitter as unknown as { init: (this: object, opts: unknown) => void };
  const init = emitter.init;
  const made: object[] = [];
  emitter.init = function (this: object, opts: unknown): void {
    if (made.length < 8) made.push(this);
    init.call(this, opts);
  };
  let result: unknown;
  try {
    result = call();
  } finally {
    emitter.init = init;
  }
  const response = (made.find((o) => (o as { w?: unknown }).w === writer) ?? null) as AppResponse | null;
  if (response) response.write = writeStraight;
  return { result, response };
}

/** encore.dev's RawResponse. */
type AppResponse = Writable & { w: ResponseWriter };

/**
 * The application's `write`. What a fast reader is given goes past the queue of its response, which is empty, to the system: the queue's ticks
 * and callbacks are 0.6 of the 7.6 us that a delivery costs (300 readers). All else goes the usual way.
 */
function writeStraight(this: AppResponse, chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
  const isPlain = callback === undefined && encoding === undefined && Buffer.isBuffer(chunk);
  if (isPlain && this.writable && this.writableLength === 0 && this.writableCorked === 0 && this.w.straight(chunk))
    return true;
  const { write } = Object.getPrototypeOf(this) as { write: (...args: unknown[]) => boolean };
  return write.call(this, chunk, encoding, callback);
}
