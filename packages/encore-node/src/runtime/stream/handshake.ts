/** WebSocket handshakes: route, auth, handshake data, then the upgrade; refusals are HTTP answers (ws.json). */

import { type IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type ApiFailure, errorBody, fromThrown, isFailure, statusOf } from "../errors.js";
import type { App } from "../http/app.js";
import { decodeHead, type Payload } from "../http/decode.js";
import { JSON_TYPE, lengthOf, sendGatewayFailure } from "../http/exchange.js";
import { authorize, type Routed, route } from "../http/gateway.js";
import { refusal, upgradeFailure } from "../http/invoke.js";
import { appHeaders, correlationOf, Request } from "../request.js";
import { liftProtocolHeaders } from "./subprotocol.js";

/** Hands the connection back to the HTTP server, with these bytes in front. */
export type GiveBack = (socket: Duplex, bytes: Buffer) => void;
export type Accept = (req: IncomingMessage, socket: Duplex, head: Buffer, request: Request) => void;

/** Never rejects: whatever goes wrong is answered. */
export async function handshake(
  app: App,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  accept: Accept,
  giveBack: GiveBack,
): Promise<void> {
  socket.on("error", () => socket.destroy());
  const routed = route(app, req.method as string, req.url as string);
  if (routed === null || isFailure(routed) || !routed.endpoint.stream) {
    giveBack(socket, Buffer.concat([withoutUpgrade(req), head]));
    return;
  }
  const unacceptable = liftProtocolHeaders(req);
  if (unacceptable !== null) {
    const headers = [...app.cors.answer(req.headers), "cache-control", "private, no-store", "content-length", "0"];
    responseOn(req, socket).writeHead(unacceptable, headers).end();
    return;
  }
  const auth = await authorize(app, routed.endpoint, routed.query, req.rawHeaders, routed.path).catch(fromThrown);
  if (isFailure(auth)) {
    sendGatewayFailure(app, req, responseOn(req, socket), auth);
    return;
  }
  const request = prepare(req, routed);
  const refused = isFailure(request) ? request : (badUpgrade(req) ?? refusal(app, routed.endpoint, auth, false));
  if (refused || isFailure(request)) {
    sendRefusal(app, req, socket, refused as ApiFailure);
    return;
  }
  request.auth = auth;
  accept(req, socket, head, request);
}

const UPGRADE_HEADERS = new Set(["connection", "upgrade", "http2-settings"]);

/**
 * The head of an ordinary request that happens to ask for an upgrade (recording `not-a-stream`; Java's client asks for
 * h2c), so that it can be read anew, with its body.
 */
function withoutUpgrade(req: IncomingMessage): Buffer {
  let head = `${req.method} ${req.url} HTTP/1.1\r\n`;
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i] as string;
    if (!UPGRADE_HEADERS.has(name.toLowerCase())) head += `${name}: ${req.rawHeaders[i + 1]}\r\n`;
  }
  return Buffer.from(`${head}\r\n`, "latin1");
}

function badUpgrade(req: IncomingMessage): ApiFailure | null {
  const h = req.headers;
  const proper = h.upgrade?.toLowerCase() === "websocket" && h["sec-websocket-version"] === "13";
  return proper && h["sec-websocket-key"] ? null : upgradeFailure(req);
}

function prepare(req: IncomingMessage, routed: Routed): Request | ApiFailure {
  const { endpoint, params, path, query } = routed;
  const fields: Payload = {};
  const pathParams: Payload = {};
  const bad = decodeHead(endpoint.asQuery, params, query, req.rawHeaders, fields, pathParams);
  if (bad) return bad;
  const headers = (): Record<string, string | string[]> => appHeaders(req.rawHeaders, req.socket.remoteAddress);
  const payload = endpoint.hasPayload ? fields : null;
  const correlation = correlationOf(req.headers);
  return new Request(endpoint, "GET", path, req.url as string, headers, payload, pathParams, null, correlation);
}

/** Answers as the HTTP server does, on the socket that Node gave away; the connection ends with it. */
function responseOn(req: IncomingMessage, socket: Duplex): ServerResponse {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  res.assignSocket(socket as unknown as Parameters<ServerResponse["assignSocket"]>[0]);
  res.on("finish", () => socket.end());
  return res;
}

/** A refusal of the endpoint. */
function sendRefusal(app: App, req: IncomingMessage, socket: Duplex, f: ApiFailure): void {
  const body = errorBody(f, app.config.local);
  const head = [...app.cors.answer(req.headers), ...JSON_TYPE, ...lengthOf(body)];
  responseOn(req, socket).writeHead(statusOf(f), head).end(body);
}
