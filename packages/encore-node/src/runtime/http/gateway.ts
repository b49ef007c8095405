/** The gateway's part of a request (gateway/mod.rs): preflight, route, auth handler; then the endpoint takes over. */

import { AsyncResource } from "node:async_hooks";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type ApiFailure, failure, fromThrown, isFailure } from "../errors.js";
import type { AuthInfo } from "../request.js";
import type { App } from "./app.js";
import { noCredentials } from "./auth.js";
import { drain } from "./body.js";
import { wellEncoded } from "./decode.js";
import type { Endpoint } from "./endpoint.js";
import { type Exchange, JSON_TYPE, lengthOf, sendGatewayFailure } from "./exchange.js";
import { runEndpoint } from "./invoke.js";
import { METHODS } from "./router.js";

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);
const HEALTH = /^\/__encore\/healthz(?:\?|$)/;
const BAD_REQUEST = "400 Bad Request";

export interface Routed {
  endpoint: Endpoint;
  params: string[];
  path: string;
  query: string;
}

/** The endpoint of a request target; a refusal; or null where the target is not well-formed (recording `path-bad-encoding`). */
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
  if (target.startsWith("/__encore/") && HEALTH.test(target)) {
    health(app, res);
    return;
  }
  const routed = req.method === "OPTIONS" ? null : route(app, req.method as string, target);
  if (routed !== null && !isFailure(routed)) {
    const { endpoint, params, path, query } = routed;
    const exchange: Exchange = { app, req, res, path, query, endpoint, params, request: null, auth: null };
    new AsyncResource("EncoreRequest").runInAsyncScope(run, null, exchange);
    return;
  }
  if (req.method === "OPTIONS") {
    res.writeHead(200, [...app.cors.preflight(req.headers), "content-length", "0"]).end();
  } else if (routed === null) {
    res.writeHead(400, ["content-type", "text/plain; charset=utf-8", ...lengthOf(BAD_REQUEST)]).end(BAD_REQUEST);
  } else sendGatewayFailure(app, req, res, routed);
  drain(req);
}

function health(app: App, res: ServerResponse): void {
  const details = { app_revision: "", encore_compiler: "", deploy_id: app.config.env };
  const body = JSON.stringify({ code: "ok", message: "Your Encore app is up and running!", details });
  res.writeHead(200, [...JSON_TYPE, ...lengthOf(body)]).end(body);
}

function run(x: Exchange): void {
  if (!x.app.auth || x.app.auth.anonymous(x.query, x.req.rawHeaders)) {
    if (x.app.auth && x.endpoint.meta.auth) {
      sendGatewayFailure(x.app, x.req, x.res, noCredentials());
      drain(x.req);
    } else runEndpoint(x);
    return;
  }
  authorize(x.app, x.endpoint, x.query, x.req.rawHeaders, x.path)
    .catch(fromThrown)
    .then((auth) => {
      if (isFailure(auth)) {
        sendGatewayFailure(x.app, x.req, x.res, auth);
        drain(x.req);
        return;
      }
      x.auth = auth;
      runEndpoint(x);
    });
}

/** Null: nobody, where nobody is needed. Errors of the auth handler other than `unauthenticated` always count. */
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
  if (auth.code !== "unauthenticated") {
    app.log.error({ path, code: auth.code, internal_message: auth.internal ?? undefined }, "auth handler failed");
  }
  return auth.code === "unauthenticated" && !endpoint.meta.auth ? null : auth;
}
