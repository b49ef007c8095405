import { AsyncLocalStorage } from "node:async_hooks";
import { type APICallMeta, currentRequest } from "encore.dev";
import { type APIError, ErrCode, type MiddlewareRequest, middleware } from "encore.dev/api";
import { getAuthData } from "~encore/auth";
import { problem } from "../lib/errors";
import { farewell } from "../realtime/bye";
import type { Caller } from "./authenticate";
import { type Policy, policyOf, type Role, SOCKET_POLICY } from "./policy";
import { allows, type Scope } from "./scopes";

/** Whoever passed the policy of the endpoint that is running. Only `caller()` reads it: without the policy nobody is calling. */
const passed = new AsyncLocalStorage<Caller>();

/**
 * Asks policy.ts before any code of an endpoint runs: typed, raw or a stream. Every service with endpoints for callers has it as a middleware
 * (policy.test.ts); in one without, `caller()` refuses to say who is calling.
 */
export const policed = middleware({ target: { auth: true } }, async (request, next) => {
  const who = getAuthData();
  if (!who) throw new Error("an endpoint that asks for its caller needs auth: true");
  try {
    requirePolicy(who, callOf(request));
  } catch (error) {
    await sayWhy(request);
    throw error;
  }
  return passed.run(who, () => next(request));
});

/** Who is calling, once the policy has let them through. */
export function passedCaller(): Caller {
  const who = passed.getStore();
  if (!who)
    throw new Error("nobody asked the policy: the service lacks the middleware `policed`, or no endpoint is running");
  return who;
}

/** Refuses a message of a WebSocket for which the connection's key lacks the scope. */
export function requireMessagePolicy(who: Caller, threadId: string, type: keyof typeof SOCKET_POLICY): void {
  const { scope } = SOCKET_POLICY[type];
  if (scope) requireScope(who, scope, threadId);
}

/** Refuses a key that lacks the scope, for this one or, without an id, for all there are. */
export function requireScope(who: Caller, scope: Scope, id: string | null = null): void {
  if (allows(who.scopes, scope, id)) return;
  throw problem(
    ErrCode.PermissionDenied,
    "scope_missing",
    `This API key may not do this: it lacks the scope ${scope}.`,
    id === null && who.scopes.some((held) => held.split(":").length === 3)
      ? "The key is limited to what its scopes name by id (details.scopes): ask for that by its own path, or use a key with the scope for all."
      : "Use a key that has the scope (details.scope), or have an owner or admin make one.",
    { scope, scopes: who.scopes, context: null },
  );
}

function requirePolicy(who: Caller, call: APICallMeta): void {
  const policy = policyOf(call.api.endpoint);
  if (!policy) throw new Error(`${call.api.service}.${call.api.endpoint} has no row in policy.ts`);
  if (!policy.roles.includes(who.role)) throw roleRefused(policy.roles);
  if (policy.scope) requireScope(who, policy.scope, idOf(policy, call));
}

function callOf({ requestMeta }: MiddlewareRequest): APICallMeta {
  const call = requestMeta ?? currentRequest();
  if (call?.type !== "api-call") throw new Error("the policy is for calls of endpoints");
  return call;
}

/** The one thread or agent that a call is about; null when it is about all. */
function idOf({ at, scope, ofAll, idIn }: Policy, { pathParams, parsedPayload }: APICallMeta): string | null {
  if (ofAll) return null;
  const resource = scope?.startsWith("agents:") ? "agents" : "threads";
  const id = at.includes(` /${resource}/{id}`) ? pathParams.id : idIn && parsedPayload?.[idIn];
  return typeof id === "string" ? id : null;
}

function roleRefused(roles: readonly Role[]): APIError {
  if (roles.includes("member")) {
    return problem(
      ErrCode.PermissionDenied,
      "member_required",
      "A guest of the organization may not do this.",
      "Ask a member of the organization.",
      { context: null },
    );
  }
  if (roles.includes("admin")) return adminRequired();
  return ownerRequired();
}

export function requireOwner(who: Caller): void {
  if (who.role !== "owner") throw ownerRequired();
}

export function ownerRequired(): APIError {
  return problem(
    ErrCode.PermissionDenied,
    "owner_required",
    "Only an owner of the organization may do this.",
    "Ask an owner, or use one of their API keys.",
    { context: null },
  );
}

export function adminRequired(): APIError {
  return problem(
    ErrCode.PermissionDenied,
    "admin_required",
    "Only an owner or admin of the organization may do this.",
    "Ask an owner or admin, or use one of their API keys.",
    { context: null },
  );
}

/** A WebSocket has no status and no close code: its last message says what an answer would. */
async function sayWhy({ stream }: MiddlewareRequest): Promise<void> {
  if (!stream || !("send" in stream)) return;
  try {
    await stream.send(farewell("not_allowed", null));
  } catch {
    // the client is gone already
  }
}
