/**
 * `~encore/clients`: calls from one service to another in this process. What Encore sends over HTTP is encoded and
 * decoded here just the same, so types are enforced and nothing is shared; errors come back as APIError (api/call.rs).
 */

import { AsyncResource } from "node:async_hooks";
import { type ApiFailure, failure, fromThrown, internalFailure, isFailure } from "../errors.js";
import { decodeAny } from "../json/decode.js";
import { encodeJson } from "../json/write.js";
import { requestFields } from "../log.js";
import { type AuthInfo, type CallOrigin, Request } from "../request.js";
import { decodeHeaders } from "../schema/header.js";
import { type App, endpointKey } from "./app.js";
import { decodeBody, decodeHead, type Payload } from "./decode.js";
import { encodeAnswer, encodeFields, type HandlerResult } from "./encode.js";
import { type Endpoint, shapeFor } from "./endpoint.js";
import { refusal } from "./invoke.js";
import { headerPairs, need, queryPairs, requestPath } from "./outgoing.js";

export interface CallOpts {
  authData?: Record<string, unknown>;
}

/** What `RT.apiCall` resolves to when the call failed; encore.dev turns it into an APIError. */
export class ApiCallError {
  constructor(
    readonly code: string,
    readonly message: string,
    readonly details: unknown,
  ) {}
}

export function callError(f: ApiFailure): ApiCallError {
  return new ApiCallError(f.code, f.message, f.details === null ? undefined : decodeAny(f.details));
}

export async function apiCall(
  app: App,
  service: string,
  name: string,
  payload: unknown,
  source: Request | null | undefined,
  opts: CallOpts | null | undefined,
): Promise<Record<string, unknown> | null | ApiCallError> {
  try {
    const prepared = prepareCall(app, service, name, payload, source, opts);
    if (prepared.endpoint.raw) throw failure("internal", "internal error", "cannot make api calls to raw endpoints");
    const result = await underWay(app, invoke(prepared));
    return finish(app, prepared, result);
  } catch (e) {
    return callError(fromThrown(e));
  }
}

/** On Encore a call between services is a request like any other, and the end of the process waits for it as for any other. */
async function underWay<T>(app: App, call: Promise<T>): Promise<T> {
  app.calls.add(call);
  try {
    return await call;
  } finally {
    app.calls.delete(call);
  }
}

/** Resolves when no call is under way any more, those included that are made meanwhile, or when the time is over. */
export async function callsEnded(app: App, ms: number): Promise<void> {
  let isLate = false;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      isLate = true;
      resolve();
    }, ms);
  });
  while (app.calls.size > 0 && !isLate) await Promise.race([Promise.allSettled([...app.calls]), late]);
  clearTimeout(timer);
}

export interface PreparedCall {
  endpoint: Endpoint;
  request: Request;
}

/** The callee's request; throws an ApiFailure. */
export function prepareCall(
  app: App,
  service: string,
  name: string,
  payload: unknown,
  source: Request | null | undefined,
  opts: CallOpts | null | undefined,
): PreparedCall {
  const endpoint = app.endpoints.get(endpointKey(service, name));
  if (!endpoint)
    throw failure("not_found", "endpoint not found", `endpoint ${service}.${name} not found in application metadata`);
  const method = endpoint.stream ? "GET" : (endpoint.methods[0] as string);
  const shape = endpoint.stream ? endpoint.asQuery : shapeFor(endpoint, method);
  const data = payload === null || payload === undefined ? null : (payload as Payload);
  const { path, params } = requestPath(endpoint, data);
  const fields: Payload = {};
  const pathParams: Payload = {};
  const query = shape.query ? queryPairs(need(data, "query")) : [];
  const raw = headerPairs(shape, data);
  const bad = decodeHead(shape, params, query, raw, fields, pathParams);
  if (bad) throw bad;
  if (shape.body && !endpoint.stream) {
    if (!data) throw failure("invalid_argument", "missing body payload");
    const wrong = decodeBody(shape.body, encodeFields(shape.body, data), fields, "request body");
    if (wrong) throw wrong;
  }
  const auth = callAuth(app, source, opts);
  const refused = refusal(app, endpoint, auth, true);
  if (refused) throw refused;
  const origin: CallOrigin | null = source
    ? { traceId: source.traceId, spanId: source.spanId, correlationId: source.correlationId }
    : null;
  const search = new URLSearchParams(query).toString();
  const url = search === "" ? path : `${path}?${search}`;
  const request = new Request(
    endpoint,
    method,
    path,
    url,
    () => ({}),
    endpoint.hasPayload ? fields : null,
    pathParams,
    origin,
  );
  request.auth = auth;
  return { endpoint, request };
}

/** Who the callee sees: whoever the caller serves, or whom the caller names. */
function callAuth(app: App, source: Request | null | undefined, opts: CallOpts | null | undefined): AuthInfo | null {
  const given = opts?.authData;
  if (!given) return source?.auth ?? null;
  if (typeof given.userID !== "string") throw internalFailure("authData must have a userID that is a string");
  const data = app.auth ? app.auth.copy(given) : (decodeAny(encodeJson(given)) as Record<string, unknown>);
  return { userId: given.userID, data };
}

/** In a context of its own: the callee's current request must not become the caller's. */
async function invoke(call: PreparedCall): Promise<HandlerResult> {
  const scope = new AsyncResource("EncoreCall");
  return (await scope.runInAsyncScope(() => call.endpoint.handler?.(call.request))) as HandlerResult;
}

function finish(app: App, call: PreparedCall, result: HandlerResult): Record<string, unknown> | null {
  const shape = call.endpoint.response;
  const answer = encodeAnswer(shape, result);
  if (isFailure(answer)) throw answer;
  if (answer.status < 200 || answer.status > 299) {
    throw failure("invalid_argument", "unable to parse error response: missing field `code`");
  }
  app.log.debug({ ...requestFields(call.request), status: answer.status }, "call completed");
  if (!shape.body && shape.headers.length === 0 && shape.cookies.length === 0) return null;
  const out: Payload = {};
  const bad = decodeHeaders(answer.headers, shape.headers, out) ?? responseCookies(call.endpoint, result, out);
  if (bad) throw bad;
  if (shape.body && answer.body !== null) {
    const wrong = decodeBody(shape.body, answer.body, out, "response body");
    if (wrong) throw wrong;
  }
  return out;
}

function responseCookies(endpoint: Endpoint, result: HandlerResult, out: Payload): ApiFailure | null {
  for (const f of endpoint.response.cookies) {
    const value = (result.payload as Payload | null)?.[f.name];
    if (typeof value === "object" && value !== null)
      out[f.name] = { name: f.shown, ...(decodeAny(encodeJson(value)) as Payload) };
    else if (!f.optional) return failure("invalid_argument", `missing required cookie: ${f.shown}`);
  }
  return null;
}
