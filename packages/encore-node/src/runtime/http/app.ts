/** The application as the server sees it: endpoints, routes, auth, CORS, and the pieces they share. */

import type pino from "pino";
import type { Config } from "../config.js";
import { SchemaCompiler } from "../schema/node.js";
import { Authenticator } from "./auth.js";
import { type Cors, makeCors } from "./cors.js";
import { compileEndpoint, type Endpoint, requestShape } from "./endpoint.js";
import { Router } from "./router.js";

export interface App {
  config: Config;
  log: pino.Logger;
  endpoints: Map<string, Endpoint>;
  router: Router<Endpoint>;
  auth: Authenticator | null;
  cors: Cors;
  /** Calls between services that are under way. */
  calls: Set<Promise<unknown>>;
}

export function endpointKey(service: string, name: string): string {
  return `${service}.${name}`;
}

export function compileApp(config: Config, log: pino.Logger): App {
  const { meta } = config;
  const compiler = new SchemaCompiler(meta.types);
  const endpoints = new Map<string, Endpoint>();
  const router = new Router<Endpoint>();
  for (const m of meta.endpoints) {
    const endpoint = compileEndpoint(m, compiler);
    endpoints.set(endpointKey(m.service, m.name), endpoint);
    router.add(m.path, endpoint.methods, endpoint);
  }
  const handler = meta.gateway?.authHandler ?? null;
  const auth = handler
    ? new Authenticator(
        requestShape({ path: [] }, handler.params, "query", compiler),
        compiler.compile(handler.authData),
      )
    : null;
  const cors = makeCors(meta, endpoints.values(), auth?.shape ?? null, config.local);
  return { config, log, endpoints, router, auth, cors, calls: new Set() };
}
