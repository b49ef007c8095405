/** Request bodies: collected for typed endpoints, streamed to raw ones, both within the endpoint's limit. */

import type { IncomingMessage } from "node:http";

/** Bytes of a refused body that are still read, so that the client sees the answer instead of a reset. */
const DRAIN_BYTES = 32 * 1024 * 1024;

export const TOO_LONG = "length limit exceeded";

/** The whole body; null when it is longer than the limit; rejects when the client goes away first. */
export function collectBody(req: IncomingMessage, limit: number | null): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const done = (error: Error | null, body: Buffer | null): void => {
      req.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onError);
      if (error) reject(error);
      else resolve(body);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (limit !== null && size > limit) {
        done(null, null);
        drain(req);
        return;
      }
      chunks.push(chunk);
    };
    const onEnd = (): void => done(null, chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    const onClose = (): void => done(new Error("client disconnected"), null);
    const onError = (e: Error): void => done(e, null);
    req.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onError);
  });
}

/** Reads on and forgets, where there is a body at all. */
export function drain(req: IncomingMessage): void {
  if (req.headers["content-length"] === undefined && req.headers["transfer-encoding"] === undefined) return;
  let left = DRAIN_BYTES;
  req.on("error", () => {});
  req.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) req.socket.destroy();
  });
  req.resume();
}

/** `runtime.BodyReader`: hands the body to RawRequest as its reader asks for it. */
export class BodyReader {
  private push: ((chunk: Buffer | null) => boolean) | null = null;
  private destroyRequest: ((error?: Error) => void) | null = null;
  private started = false;
  private ended = false;
  private size = 0;

  constructor(
    private readonly req: IncomingMessage,
    private readonly limit: number | null,
  ) {}

  start(push: (chunk: Buffer | null) => boolean, destroy: (error?: Error) => void): void {
    this.push = push;
    this.destroyRequest = destroy;
  }

  read(): void {
    if (this.ended) return;
    if (!this.started) {
      this.started = true;
      this.req.on("data", (chunk: Buffer) => this.onData(chunk));
      this.req.on("end", () => this.end(null));
      this.req.on("error", (e) => this.end(e));
    }
    this.req.resume();
  }

  private onData(chunk: Buffer): void {
    if (this.ended) return;
    this.size += chunk.length;
    if (this.limit !== null && this.size > this.limit) {
      this.end(new Error(TOO_LONG));
      drain(this.req);
      return;
    }
    if (!this.push?.(chunk)) this.req.pause();
  }

  private end(error: Error | null): void {
    if (this.ended) return;
    this.ended = true;
    if (error) this.destroyRequest?.(error);
    else this.push?.(null);
  }

  /** The client is gone: the application's request closes. */
  abandon(): void {
    if (this.ended) return;
    this.ended = true;
    this.destroyRequest?.();
  }
}
