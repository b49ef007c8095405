/**
 * One HTTP request from head to answer: the gateway's part (preflight, route, auth; gateway/mod.rs) and the endpoint's
 * (payload, exposure, handler, answer; endpoint.rs), in Encore's order.
 */

import { AsyncResource } from "node:async_hooks";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type ApiFailure, codeOfStatus, errorBody, failure, fromThrown, isFailure, statusOf } from "../errors.js";
import { requestFields } from "../log.js";
import { type AuthInfo, appHeaders, correlationOf, Request } from "../request.js";
import type { App } from "./app.js";
import { BodyReader, collectBody, drain, TOO_LONG } from "./body.js";
import { decodeBody, decodeHead, type Payload, wellEncoded } from "./decode.js";
import { type Answer, encodeAnswer, type HandlerResult } from "./encode.js";
import { type Endpoint, type RequestShape, shapeFor } from "./endpoint.js";
import { callRaw, ResponseWriter } from "./raw.js";
import { METHODS } from "./router.js";

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);
const HEALTH_PATH = "/__encore/healthz";
/** Answers of the gateway itself carry these (recording `not-found`). */
const GATEWAY_HEADERS = ["server", "Pingora", "cache-control", "private, no-store"];
const JSON_TYPE = ["content-type", "application/json"];

/** What is known of one exchange. */
export interface Exchange {
  app: App;
  req: IncomingMessage;
  res: ServerResponse;
  path: string;
  query: string;
  endpoint: Endpoint;
  params: string[];
  request: Request | null;
  auth: AuthInfo | null;
}

export interface Routed {
  endpoint: Endpoint;
  params: string[];
  path: string;
  query: string;
}

/** The endpoint of a request target; a failure of the gateway; or null where the target is not well-formed. */
export function route(app: App, method: string, target: string): Routed | ApiFailure | null {
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  if (!path.startsWith("/") || !wellEncoded(path)) return null;
  if (!KNOWN_METHODS.has(method)) return failure("invalid_argument", "invalid method", `invalid method: ${method}`);
  const found = app.router.find(method, path);
  if (found === "path") return failure("not_found", "no route for method", `no route for method ${method}: ${path}`);
  if (found === "none") return failure("not_found", "endpoint not found", `no such endpoint exists: ${path}`);
  return { endpoint: found.target, params: found.params, path, query: mark < 0 ? "" : target.slice(mark + 1) };
}

export function serve(app: App, req: IncomingMessage, res: ServerResponse): void {
  const target = req.url as string;
  if (target.startsWith(HEALTH_PATH) && /^[?]?$/.test(target.charAt(HEALTH_PATH.length))) return health(app, res);
  if (req.method === "OPTIONS") {
    res.writeHead(200, [...app.cors.preflight(req.headers), "content-length", "0"]).end();
    return drain(req);
  }
  const routed = route(app, req.method as string, target);
  if (routed === null) {
    res.writeHead(400, ["content-type", "text/plain; charset=utf-8", "content-length", "15"]).end("400 Bad Request");
    return drain(req);
  }
  if (isFailure(routed)) return sendGatewayFailure(app, req, res, routed);
  const { endpoint, params, path, query } = routed;
  const exchange: Exchange = { app, req, res, path, query, endpoint, params, request: null, auth: null };
  new AsyncResource("EncoreRequest").runInAsyncScope(run, null, exchange);
}

function health(app: App, res: ServerResponse): void {
  const details = { app_revision: "", encore_compiler: "", deploy_id: app.config.env };
  const body = JSON.stringify({ code: "ok", message: "Your Encore app is up and running!", details });
  res.writeHead(200, [...JSON_TYPE, "content-length", String(Buffer.byteLength(body))]).end(body);
}

function run(x: Exchange): void {
  if (!x.app.auth) return runEndpoint(x);
  authorize(x.app, x.endpoint, x.query, x.req.rawHeaders, x.path).then(
    (auth) => {
      if (isFailure(auth)) return sendGatewayFailure(x.app, x.req, x.res, auth);
      x.auth = auth;
      runEndpoint(x);
    },
    (e: unknown) => sendGatewayFailure(x.app, x.req, x.res, fromThrown(e)),
  );
}

/** Null: nobody, where nobody is needed. */
export async function authorize(
  app: App,
  endpoint: Endpoint,
  query: string,
  rawHeaders: readonly string[],
  path: string,
): Promise<AuthInfo | null | ApiFailure> {
  const auth = await app.auth?.authenticate(query, rawHeaders, path, null);
  if (!auth) return null;
  if (!isFailure(auth)) return auth;
  if (auth.code !== "unauthenticated") app.log.error({ path, internal_message: auth.internal }, "auth handler failed");
  return auth.code === "unauthenticated" && !endpoint.meta.auth ? null : auth;
}

function runEndpoint(x: Exchange): void {
  const shape = shapeFor(x.endpoint, x.req.method as string);
  const fields: Payload = {};
  const pathParams: Payload = {};
  const bad = decodeHead(shape, x.params, x.query, x.req.rawHeaders, fields, pathParams);
  if (bad) {
    drain(x.req);
    return sendFailure(x, bad);
  }
  if (x.endpoint.raw) return invoke(x, fields, pathParams);
  if (x.endpoint.stream) {
    drain(x.req);
    return sendFailure(x, upgradeFailure(x.req));
  }
  if (!shape.body) {
    drain(x.req);
    return invoke(x, fields, pathParams);
  }
  void readBody(x, shape, fields, pathParams);
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

async function readBody(x: Exchange, shape: RequestShape, fields: Payload, pathParams: Payload): Promise<void> {
  let body: Buffer | null;
  try {
    body = await collectBody(x.req, x.endpoint.meta.bodyLimit);
  } catch {
    return; // the client left
  }
  if (body === null) {
    const words = `unable to read request body: ${TOO_LONG}\n\nCaused by:\n    ${TOO_LONG}`;
    return sendFailure(x, failure("invalid_argument", words));
  }
  const bad = shape.body && decodeBody(shape.body, body, fields, "request body");
  if (bad) return sendFailure(x, bad);
  invoke(x, fields, pathParams);
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
  const refused = refusal(x.app, x.endpoint, x.auth, false);
  if (refused) return sendFailure(x, refused);
  const { req } = x;
  const headers = (): Record<string, string | string[]> => appHeaders(req.rawHeaders);
  const url = req.url as string;
  x.request = new Request(
    x.endpoint,
    req.method as string,
    x.path,
    url,
    headers,
    fields,
    pathParams,
    null,
    correlationOf(req.headers),
  );
  x.request.auth = x.auth;
  if (x.endpoint.raw) invokeRaw(x, x.request);
  else invokeTyped(x, x.request);
}

function invokeTyped(x: Exchange, request: Request): void {
  let result: unknown;
  try {
    result = x.endpoint.handler?.(request);
  } catch (e) {
    return sendFailure(x, fromThrown(e));
  }
  if (!(result instanceof Promise)) return sendResult(x, result as HandlerResult);
  result.then(
    (value) => sendResult(x, value as HandlerResult),
    (e) => sendFailure(x, fromThrown(e)),
  );
}

function sendResult(x: Exchange, result: HandlerResult): void {
  const answer = encodeAnswer(x.endpoint.response, result);
  if (isFailure(answer)) sendFailure(x, answer);
  else sendAnswer(x, answer);
}

function sendAnswer(x: Exchange, answer: Answer): void {
  const { res } = x;
  const head = commonHeaders(x);
  head.push(...answer.headers);
  const bodiless = answer.status === 204 || answer.status === 304 || answer.status < 200;
  if (answer.body !== null) {
    head.push(...JSON_TYPE);
    if (!bodiless) head.push("content-length", String(Buffer.byteLength(answer.body)));
  } else if (!bodiless) head.push("content-length", "0");
  try {
    res.writeHead(answer.status, head);
    res.end(bodiless ? undefined : (answer.body ?? undefined));
  } catch (e) {
    return sendFailure(x, fromThrown(e));
  }
  logDone(x, answer.status, "ok");
}

function commonHeaders(x: Exchange): string[] {
  const head = [...x.app.cors.answer(x.req.headers)];
  if (x.request) head.push("x-encore-trace-id", x.request.traceId);
  return head;
}

function sendFailure(x: Exchange, f: ApiFailure): void {
  const { res } = x;
  if (res.headersSent || res.destroyed) return;
  const status = statusOf(f);
  const body = errorBody(f, x.app.config.local);
  res
    .writeHead(status, [...commonHeaders(x), ...JSON_TYPE, "content-length", String(Buffer.byteLength(body))])
    .end(body);
  logFailure(x, f);
  logDone(x, status, f.code);
}

export function gatewayFailureHead(app: App, req: IncomingMessage, body: string): string[] {
  const length = ["content-length", String(Buffer.byteLength(body))];
  return [...app.cors.answer(req.headers), ...GATEWAY_HEADERS, ...JSON_TYPE, ...length];
}

function sendGatewayFailure(app: App, req: IncomingMessage, res: ServerResponse, f: ApiFailure): void {
  drain(req);
  if (res.destroyed) return;
  const body = errorBody(f, app.config.local);
  res.writeHead(statusOf(f), gatewayFailureHead(app, req, body)).end(body);
}

function logFailure(x: Exchange, f: ApiFailure): void {
  if (!x.request) return;
  const error = f.code === "internal" || f.code === "unknown" || f.code === "data_loss";
  const fields = {
    ...requestFields(x.request),
    code: f.code,
    error: f.message,
    ...(f.internal ? { internal_message: f.internal } : {}),
  };
  if (error) x.app.log.error({ ...fields, stack: f.stack }, "request failed");
  else x.app.log.warn(fields, "request failed");
}

function logDone(x: Exchange, status: number, code: string): void {
  const r = x.request;
  if (!r || !x.app.log.isLevelEnabled("info")) return;
  const ids = r.correlationId ? { request_id: r.correlationId } : {};
  x.app.log.info(
    { ...requestFields(r), ...ids, status, code, duration: Date.now() - r.startedAt },
    "request completed",
  );
}

function invokeRaw(x: Exchange, request: Request): void {
  const { req, res } = x;
  const writer = new ResponseWriter(res, commonHeaders(x));
  const reader = new BodyReader(req, x.endpoint.meta.bodyLimit);
  res.on("error", () => {});
  const broken = (e: unknown): void => {
    const f = fromThrown(e);
    if (!writer.begun && !res.headersSent) return sendFailure(x, f);
    // Too late for an answer: what was written goes out, and the cut connection says that it is not all.
    logFailure(x, f);
    if (!res.writableEnded) {
      writer.flush();
      setImmediate(() => res.destroy());
    }
  };
  let called: ReturnType<typeof callRaw>;
  try {
    called = callRaw(() => x.endpoint.handler?.(request, writer, reader), writer);
  } catch (e) {
    return broken(e);
  }
  res.on("close", () => {
    if (!res.writableFinished) {
      reader.abandon();
      called.response?.destroy();
    }
    logDone(x, res.statusCode, codeOfStatus(res.statusCode));
  });
  if (called.result instanceof Promise) called.result.catch(broken);
}
