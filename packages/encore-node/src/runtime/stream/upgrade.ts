/** The WebSocket side of the server: upgraded connections, their bounds, and how messages reach them. */

import { AsyncResource } from "node:async_hooks";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { App } from "../http/app.js";
import type { Request } from "../request.js";
import { type GiveBack, handshake } from "./handshake.js";
import { runStream } from "./run.js";
import { Channel, type Peer } from "./socket.js";

/** Longest message (one frame of Encore's axum). */
const MESSAGE_MAX = 16 * 1024 * 1024;
/** Bytes that may wait for a slow reader; beyond, the connection is cut. */
const BACKLOG_MAX = 16 * 1024 * 1024;
/** A peer that did not answer the last ping is gone. */
const PING_EVERY_MS = 30_000;
const PROTOCOL = "encore-ws";

export interface Upgrader {
  handle(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes every stream, for shutdown. */
  close(): void;
  /** Resolves when no stream is left. */
  closed(): Promise<void>;
  /** Cuts those that did not close. */
  terminate(): void;
}

export function makeUpgrader(app: App, giveBack: GiveBack): Upgrader {
  const alive = new WeakSet<WebSocket>();
  const wss = new WebSocketServer({
    noServer: true,
    maxPayload: MESSAGE_MAX,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
  });
  const timer = setInterval(() => {
    for (const ws of wss.clients) {
      if (!alive.delete(ws)) ws.terminate();
      else ws.ping();
    }
  }, PING_EVERY_MS);
  timer.unref();
  const accept = (req: IncomingMessage, socket: Duplex, head: Buffer, request: Request): void => {
    wss.handleUpgrade(req, socket, head, (ws) => {
      alive.add(ws);
      ws.on("pong", () => alive.add(ws));
      attach(app, ws, request);
    });
  };
  return {
    handle(req, socket, head) {
      new AsyncResource("EncoreStream").runInAsyncScope(handshake, null, app, req, socket, head, accept, giveBack);
    },
    close() {
      clearInterval(timer);
      for (const ws of wss.clients) ws.close();
    },
    async closed() {
      const gone = (ws: WebSocket): Promise<void> => new Promise((resolve) => ws.once("close", () => resolve()));
      await Promise.all([...wss.clients].map(gone));
    },
    terminate() {
      for (const ws of wss.clients) ws.terminate();
    },
  };
}

function attach(app: App, ws: WebSocket, request: Request): void {
  const endpoint = request.endpoint;
  const peer: Peer = {
    send(text) {
      if (ws.bufferedAmount > BACKLOG_MAX) {
        ws.terminate();
        return false;
      }
      ws.send(text);
      return true;
    },
    close: () => ws.close(),
  };
  const names = { service: endpoint?.meta.service, endpoint: endpoint?.meta.name };
  // Of a message that does not fit only the kind of fault is logged: the message is somebody's words.
  const warn = (what: string, error: unknown): void => {
    app.log.warn({ ...names, error: error instanceof Error ? error.name : undefined }, what);
  };
  const outbound = endpoint?.outbound ?? endpoint?.response.body ?? null;
  const channel = new Channel(peer, endpoint?.inbound ?? null, outbound, warn);
  ws.on("message", (data: Buffer) => channel.receive(data));
  ws.on("close", () => channel.ended());
  ws.on("error", () => ws.terminate());
  void runStream(app, request, channel);
}
