/** The endpoint's part of a request (endpoint.rs): payload, exposure, handler, answer, in this order. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import { type ApiFailure, codeOfStatus, failure, fromThrown, isFailure } from "../errors.js";
import { type AuthInfo, appHeaders, correlationOf, Request } from "../request.js";
import type { App } from "./app.js";
import { BodyReader, collectBody, drain, TOO_LONG } from "./body.js";
import { decodeBody, decodeHead, type Payload } from "./decode.js";
import { encodeAnswer, type HandlerResult } from "./encode.js";
import { type Endpoint, shapeFor } from "./endpoint.js";
import { commonHeaders, type Exchange, logDone, logFailure, sendAnswer, sendFailure } from "./exchange.js";
import { callRaw, ResponseWriter } from "./raw.js";

export function runEndpoint(x: Exchange): void {
  const { endpoint, req } = x;
  const shape = shapeFor(endpoint, req.method as string);
  const fields: Payload = {};
  const pathParams: Payload = {};
  const bad = decodeHead(shape, x.params, x.query, req.rawHeaders, fields, pathParams);
  if (bad || endpoint.stream) {
    sendFailure(x, bad ?? upgradeFailure(req));
    drain(req);
    return;
  }
  if (endpoint.raw || !shape.body) {
    invoke(x, fields, pathParams);
    if (!endpoint.raw) drain(req);
    return;
  }
  const { body: node } = shape;
  collectBody(req, endpoint.meta.bodyLimit).then(
    (body) => {
      const wrong = body ? decodeBody(node, body, fields, "request body") : tooLong();
      if (wrong) sendFailure(x, wrong);
      else invoke(x, fields, pathParams);
    },
    () => {}, // the client left
  );
}

function tooLong(): ApiFailure {
  return failure("invalid_argument", `unable to read request body: ${TOO_LONG}\n\nCaused by:\n    ${TOO_LONG}`);
}

/** A stream asked for without a proper upgrade (axum's words; recording `stream-by-get`). */
export function upgradeFailure(req: IncomingMessage): ApiFailure {
  const h = req.headers;
  const has = (value: string | undefined, word: string) => (value ?? "").toLowerCase().split(/,\s*/).includes(word);
  let words = "`Sec-WebSocket-Key` header missing";
  if (!has(h.connection, "upgrade")) words = "Connection header did not include 'upgrade'";
  else if (!has(h.upgrade, "websocket")) words = "`Upgrade` header did not include 'websocket'";
  else if (h["sec-websocket-version"] !== "13") words = "`Sec-WebSocket-Version` header did not include '13'";
  return failure("invalid_argument", words, words);
}

/** Whether the endpoint may be called by this caller at all. */
export function refusal(app: App, endpoint: Endpoint, auth: AuthInfo | null, fromInside: boolean): ApiFailure | null {
  if (!endpoint.meta.expose && !app.config.local && !fromInside) {
    return failure("not_found", "endpoint not found", "the endpoint was found, but is not exposed");
  }
  if (endpoint.meta.auth && !auth) return failure("unauthenticated", "endpoint requires auth but none provided");
  if (!endpoint.handler) return failure("not_found", "endpoint not found", "no handler registered for endpoint");
  return null;
}

function invoke(x: Exchange, fields: Payload, pathParams: Payload): void {
  const { req, endpoint } = x;
  const refused = refusal(x.app, endpoint, x.auth, false);
  if (refused) {
    sendFailure(x, refused);
    return;
  }
  const headers = (): Record<string, string | string[]> => appHeaders(req.rawHeaders, req.socket.remoteAddress);
  const correlation = correlationOf(req.headers);
  const url = req.url as string;
  x.request = new Request(endpoint, req.method as string, x.path, url, headers, fields, pathParams, null, correlation);
  x.request.auth = x.auth;
  if (endpoint.raw) invokeRaw(x, x.request);
  else invokeTyped(x, x.request);
}

function invokeTyped(x: Exchange, request: Request): void {
  try {
    const result = x.endpoint.handler?.(request);
    if (result instanceof Promise) {
      result.then(
        (value) => sendResult(x, value as HandlerResult),
        (e) => sendFailure(x, fromThrown(e)),
      );
    } else sendResult(x, result as HandlerResult);
  } catch (e) {
    sendFailure(x, fromThrown(e));
  }
}

function sendResult(x: Exchange, result: HandlerResult): void {
  const answer = encodeAnswer(x.endpoint.response, result);
  if (isFailure(answer)) sendFailure(x, answer);
  else sendAnswer(x, answer);
}

interface OpenRaw {
  res: ServerResponse;
  end(): void;
  response: Writable | null;
}

const openRaw = new Set<OpenRaw>();

/** Event streams have no end of their own: at shutdown they end here, and their handlers hear `close`. */
export function endEventStreams(): void {
  for (const { res, end, response } of openRaw) {
    const type = res.getHeader("content-type") ?? sentHeader(res, "content-type");
    if (!String(type).startsWith("text/event-stream")) continue;
    end();
    response?.destroy();
  }
}

/** Headers given to writeHead as a list are not kept by Node; the head itself is. */
function sentHeader(res: ServerResponse, name: string): string {
  const head = (res as unknown as { _header?: string })._header ?? "";
  return new RegExp(`^${name}: (.*)$`, "im").exec(head)?.[1] ?? "";
}

function invokeRaw(x: Exchange, request: Request): void {
  const { req, res } = x;
  const writer = new ResponseWriter(res, commonHeaders(x));
  const reader = new BodyReader(req, x.endpoint.meta.bodyLimit);
  res.on("error", () => {});
  try {
    const { result, response } = callRaw(() => x.endpoint.handler?.(request, writer, reader), writer);
    const entry: OpenRaw = { res, end: () => writer.close(), response };
    openRaw.add(entry);
    const closed = (): void => {
      openRaw.delete(entry);
      if (!res.writableFinished) {
        reader.abandon();
        response?.destroy();
      }
      logDone(x, res.statusCode, codeOfStatus(res.statusCode));
    };
    // A client may leave while the auth handler decides: then "close" has been said before anybody listened.
    if (res.closed) closed();
    else res.once("close", closed);
    // An application that destroys its response gives up on the reader: one that takes nothing would stay for ever.
    response?.once("close", () => {
      if (!response.writableFinished && !res.writableEnded && !res.destroyed) res.destroy();
    });
    if (result instanceof Promise) result.catch((e: unknown) => rawFailed(x, writer, e));
  } catch (e) {
    rawFailed(x, writer, e);
  }
}

function rawFailed(x: Exchange, writer: ResponseWriter, e: unknown): void {
  const f = fromThrown(e);
  if (!writer.begun) {
    sendFailure(x, f);
    return;
  }
  // Too late for an answer: what was written goes out, and the cut connection says that it is not all.
  logFailure(x, f);
  if (x.res.writableEnded) return;
  writer.flush();
  setImmediate(() => x.res.destroy());
}
