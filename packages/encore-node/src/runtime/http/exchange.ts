/** One HTTP exchange with an endpoint, and its answers. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { type ApiFailure, errorBody, fromThrown, stackOf, statusOf } from "../errors.js";
import { requestFields } from "../log.js";
import type { AuthInfo, Request } from "../request.js";
import type { App } from "./app.js";
import type { Answer } from "./encode.js";
import type { Endpoint } from "./endpoint.js";

export const JSON_TYPE = ["content-type", "application/json"];
/** Answers of the gateway itself carry these (recording `not-found`). */
const GATEWAY_HEADERS = ["server", "Pingora", "cache-control", "private, no-store"];
/** Failures that are the app's own fault; others are the caller's and only worth a warning. */
const OWN_FAULT = new Set(["internal", "unknown", "data_loss"]);

/** What is known of it; `request` from the moment that the payload is read. */
export interface Exchange {
  app: App;
  req: IncomingMessage;
  res: ServerResponse;
  path: string;
  query: string;
  endpoint: Endpoint;
  /** Still percent-encoded. */
  params: string[];
  request: Request | null;
  auth: AuthInfo | null;
}

export function commonHeaders(x: Exchange): string[] {
  const head = [...x.app.cors.answer(x.req.headers)];
  if (x.request) head.push("x-encore-trace-id", x.request.traceId);
  return head;
}

export function lengthOf(body: string): string[] {
  return ["content-length", String(Buffer.byteLength(body))];
}

/** Node writes a head together with a text body as UTF-8; header values are bytes already (latin1), so they go apart. */
function asBytes(answer: Answer): string | Buffer {
  const body = answer.body ?? "";
  return answer.headers.some((h) => /[\u0080-\u00ff]/.test(h)) ? Buffer.from(body) : body;
}

export function sendAnswer(x: Exchange, answer: Answer): void {
  const { res } = x;
  const head = commonHeaders(x);
  head.push(...answer.headers);
  const bodiless = answer.status === 204 || answer.status === 304 || answer.status < 200;
  if (answer.body !== null) head.push(...JSON_TYPE);
  if (!bodiless) head.push(...lengthOf(answer.body ?? ""));
  try {
    res.writeHead(answer.status, head);
    res.end(bodiless || answer.body === null ? undefined : asBytes(answer));
  } catch (e) {
    sendFailure(x, fromThrown(e));
    return;
  }
  logDone(x, answer.status, "ok");
}

export function sendFailure(x: Exchange, f: ApiFailure): void {
  const { res } = x;
  if (res.headersSent || res.destroyed) return;
  const status = statusOf(f);
  const body = errorBody(f, x.app.config.local);
  res.writeHead(status, [...commonHeaders(x), ...JSON_TYPE, ...lengthOf(body)]).end(body);
  logFailure(x, f);
  logDone(x, status, f.code);
}

/** A refusal before any endpoint: no route, no credentials, a failing auth handler. */
export function sendGatewayFailure(app: App, req: IncomingMessage, res: ServerResponse, f: ApiFailure): void {
  if (res.headersSent || res.destroyed) return;
  const body = errorBody(f, app.config.local);
  const head = [...app.cors.answer(req.headers), ...GATEWAY_HEADERS, ...JSON_TYPE, ...lengthOf(body)];
  res.writeHead(statusOf(f), head).end(body);
}

export function logFailure(x: Exchange, f: ApiFailure): void {
  if (!x.request) return;
  const internal = f.internal ? { internal_message: f.internal } : {};
  const fields = { ...requestFields(x.request), code: f.code, error: f.message, ...internal };
  if (OWN_FAULT.has(f.code)) x.app.log.error({ ...fields, stack: stackOf(f) }, "request failed");
  else x.app.log.warn(fields, "request failed");
}

export function logDone(x: Exchange, status: number, code: string): void {
  const r = x.request;
  if (!r || !x.app.log.isLevelEnabled("info")) return;
  const ids = r.correlationId ? { request_id: r.correlationId } : {};
  x.app.log.info(
    { ...requestFields(r), ...ids, status, code, duration: Date.now() - r.startedAt },
    "request completed",
  );
}
