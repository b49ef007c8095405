/** WebSocket handshakes: route, auth, handshake data, then the upgrade; refusals are HTTP answers (ws.json). */

import { AsyncResource } from "node:async_hooks";
import { type IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { type ApiFailure, errorBody, fromThrown, isFailure, statusOf } from "../errors.js";
import type { App } from "../http/app.js";
import { decodeHead, type Payload } from "../http/decode.js";
import { authorize, gatewayFailureHead, type Routed, refusal, route, serve, upgradeFailure } from "../http/serve.js";
import { appHeaders, correlationOf, Request } from "../request.js";
import { runStream } from "./run.js";
import { Channel, type Peer } from "./socket.js";
import { liftProtocolHeaders } from "./subprotocol.js";

/** Longest message (a frame of Encore's axum). */
const MESSAGE_MAX = 16 * 1024 * 1024;
/** Bytes that may wait for a slow reader; beyond, the connection is cut. */
const BACKLOG_MAX = 16 * 1024 * 1024;
const PING_EVERY_MS = 30_000;
const PROTOCOL = "encore-ws";

export interface Upgrader {
  handle(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes every stream, for shutdown. */
  close(): void;
  readonly size: number;
}

export function makeUpgrader(app: App): Upgrader {
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
      const work = (): void =>
        void handshake(app, req, socket, head, accept).catch((e: unknown) => refuse(app, req, socket, fromThrown(e)));
      new AsyncResource("EncoreStream").runInAsyncScope(work);
    },
    close() {
      clearInterval(timer);
      for (const ws of wss.clients) ws.close();
    },
    get size() {
      return wss.clients.size;
    },
  };
}

type Accept = (req: IncomingMessage, socket: Duplex, head: Buffer, request: Request) => void;

async function handshake(app: App, req: IncomingMessage, socket: Duplex, head: Buffer, accept: Accept): Promise<void> {
  socket.on("error", () => socket.destroy());
  const target = req.url as string;
  const routed = route(app, req.method as string, target);
  // No stream: an ordinary request that happened to ask for an upgrade (recording `not-a-stream`).
  if (routed === null || isFailure(routed) || !routed.endpoint.stream) return answer(app, req, socket, head);
  const lifted = liftProtocolHeaders(req);
  if (lifted) return plainRefusal(app, req, socket, lifted);
  const auth = await authorize(app, routed.endpoint, routed.query, req.rawHeaders, routed.path);
  if (isFailure(auth)) return refuse(app, req, socket, auth);
  const request = prepare(app, req, routed);
  if (isFailure(request)) return answerFailure(app, req, socket, request);
  if (
    req.headers.upgrade?.toLowerCase() !== "websocket" ||
    req.headers["sec-websocket-version"] !== "13" ||
    !req.headers["sec-websocket-key"]
  ) {
    return answerFailure(app, req, socket, upgradeFailure(req));
  }
  const refused = refusal(app, routed.endpoint, auth, false);
  if (refused) return answerFailure(app, req, socket, refused);
  request.auth = auth;
  accept(req, socket, head, request);
}

function prepare(_app: App, req: IncomingMessage, routed: Routed): Request | ApiFailure {
  const { endpoint, params, path, query } = routed;
  const fields: Payload = {};
  const pathParams: Payload = {};
  const bad = decodeHead(endpoint.asQuery, params, query, req.rawHeaders, fields, pathParams);
  if (bad) return bad;
  const headers = (): Record<string, string | string[]> => appHeaders(req.rawHeaders);
  const payload = endpoint.hasPayload ? fields : null;
  return new Request(
    endpoint,
    "GET",
    path,
    req.url as string,
    headers,
    payload,
    pathParams,
    null,
    correlationOf(req.headers),
  );
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
  const warn = (what: string, error: unknown): void => {
    // The message itself is not logged: it is somebody's words.
    app.log.warn(
      {
        service: endpoint?.meta.service,
        endpoint: endpoint?.meta.name,
        error: error ? (error as Error).name : undefined,
      },
      what,
    );
  };
  const channel = new Channel(
    peer,
    endpoint?.inbound ?? null,
    endpoint?.outbound ?? endpoint?.response.body ?? null,
    warn,
  );
  ws.on("message", (data: Buffer) => channel.receive(data));
  ws.on("close", () => channel.ended());
  ws.on("error", () => ws.terminate());
  void runStream(app, request, channel);
}

/** Answers as the HTTP server does, on the socket that Node gave away. */
function answer(app: App, req: IncomingMessage, socket: Duplex, head: Buffer): void {
  const res = responseOn(req, socket);
  if (head.length > 0) socket.unshift(head);
  serve(app, req, res);
}

function responseOn(req: IncomingMessage, socket: Duplex): ServerResponse {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  res.assignSocket(socket as unknown as Parameters<ServerResponse["assignSocket"]>[0]);
  res.on("finish", () => socket.end());
  return res;
}

/** A refusal of the gateway. */
function refuse(app: App, req: IncomingMessage, socket: Duplex, f: ApiFailure): void {
  const body = errorBody(f, app.config.local);
  responseOn(req, socket)
    .writeHead(statusOf(f), gatewayFailureHead(app, req, body))
    .end(body);
}

/** A refusal of the endpoint. */
function answerFailure(app: App, req: IncomingMessage, socket: Duplex, f: ApiFailure): void {
  const body = errorBody(f, app.config.local);
  const head = [
    ...app.cors.answer(req.headers),
    "content-type",
    "application/json",
    "content-length",
    String(Buffer.byteLength(body)),
  ];
  responseOn(req, socket).writeHead(statusOf(f), head).end(body);
}

function plainRefusal(app: App, req: IncomingMessage, socket: Duplex, status: number): void {
  const head = [...app.cors.answer(req.headers), "content-length", "0", "cache-control", "private, no-store"];
  responseOn(req, socket).writeHead(status, head).end();
}
