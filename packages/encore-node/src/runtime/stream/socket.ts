/**
 * `runtime.Socket`, `Stream`, `Sink` (api/websocket.rs): messages between a handler and its peer. The peer is a
 * WebSocket, or a handler of this process that called through `~encore/clients`.
 */

import { encodeFields } from "../http/encode.js";
import { DecodeError, decodeStruct } from "../json/decode.js";
import type { StructNode } from "../schema/node.js";

/** Messages received and not yet read by the handler. */
const INBOUND_MAX = 10_000;

export interface Peer {
  /** False when it cannot take more: it is cut off. */
  send(text: string): boolean;
  close(): void;
}

export function closedError(): Error {
  return Object.assign(new Error("socket receive channel closed"), { code: "Unknown" });
}

/** One side of a connection: what comes in is decoded, what goes out is encoded, both by type. */
export class Channel {
  private readonly inbox: Record<string, unknown>[] = [];
  private readonly readers: { resolve(m: Record<string, unknown>): void; reject(e: Error): void }[] = [];
  private open = true;
  private sending = true;

  constructor(
    private readonly peer: Peer,
    private readonly inbound: StructNode | null,
    private readonly outbound: StructNode | null,
    private readonly warn: (what: string, error: unknown) => void,
  ) {}

  /** A message that does not fit is dropped in silence (recording `echo-invalid-message`). */
  receive(data: Buffer | string): void {
    const message = this.open ? this.decode(data) : null;
    if (!message) return;
    const reader = this.readers.shift();
    if (reader) reader.resolve(message);
    else if (this.inbox.length < INBOUND_MAX) this.inbox.push(message);
    else {
      this.warn("too many messages wait for the handler; the connection is closed", null);
      this.close();
    }
  }

  private decode(data: Buffer | string): Record<string, unknown> | null {
    if (!this.inbound) {
      this.warn("a message arrived, but this stream takes none", null);
      return null;
    }
    try {
      return decodeStruct(data, this.inbound);
    } catch (e) {
      if (!(e instanceof DecodeError)) throw e;
      this.warn("failed to parse incoming message", e);
      return null;
    }
  }

  recv(): Promise<Record<string, unknown>> {
    const next = this.inbox.shift();
    if (next) return Promise.resolve(next);
    if (!this.open) return Promise.reject(closedError());
    return new Promise((resolve, reject) => this.readers.push({ resolve, reject }));
  }

  send(message: unknown): void {
    if (!this.sending) throw Object.assign(new Error("channel closed"), { code: "Unknown" });
    const text = this.encode(message);
    if (text !== null && !this.peer.send(text)) this.ended();
  }

  private encode(message: unknown): string | null {
    if (typeof message !== "object" || message === null) throw new Error("Expect value to be Object");
    if (this.outbound) return encodeFields(this.outbound, message as Record<string, unknown>);
    this.warn("failed to send message: this stream sends none", null);
    return null;
  }

  close(): void {
    if (!this.sending) return;
    this.sending = false;
    this.peer.close();
  }

  /** The peer is gone. What arrived is still read. */
  ended(): void {
    this.open = false;
    this.sending = false;
    for (const reader of this.readers.splice(0)) reader.reject(closedError());
  }
}

export class Socket {
  constructor(private readonly channel: Channel) {}
  send(message: unknown): void {
    this.channel.send(message);
  }
  recv(): Promise<Record<string, unknown>> {
    return this.channel.recv();
  }
  close(): void {
    this.channel.close();
  }
}

export class Sink {
  constructor(private readonly channel: Channel) {}
  send(message: unknown): void {
    this.channel.send(message);
  }
  close(): void {
    this.channel.close();
  }
}

export class Stream {
  constructor(private readonly channel: Channel) {}
  recv(): Promise<Record<string, unknown>> {
    return this.channel.recv();
  }
}

/** The stream that a `~encore/clients` call opens, seen from the caller. */
export class WebSocketClient {
  constructor(private readonly channel: Channel) {}
  send(message: unknown): void {
    this.channel.send(message);
  }
  recv(): Promise<Record<string, unknown>> {
    return this.channel.recv();
  }
  close(): void {
    this.channel.close();
  }
}
