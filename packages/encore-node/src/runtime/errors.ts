/** Encore's API errors: code, status, wording, and what a thrown JavaScript value becomes. */

import { encodeJson } from "./json/write.js";

/** Codes and their statuses (runtimes/core/src/api/error.rs `status_code`). */
const STATUS: Record<string, number> = {
  canceled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
};

export const INTERNAL_MESSAGE = "an internal error occurred";
export const UNAUTHENTICATED_MESSAGE = "the request does not have valid authentication credentials for the operation";

export interface ApiFailure {
  readonly failure: true;
  code: string;
  message: string;
  internal: string | null;
  /** Already JSON, or null. */
  details: string | null;
  /** For the log only: see `stackOf`. */
  thrown?: object;
}

/** Where it was thrown. V8 makes that text when it is first asked for, and with source maps that costs more than most answers do. */
export function stackOf({ thrown }: ApiFailure): string | undefined {
  const stack = (thrown as { stack?: unknown } | undefined)?.stack;
  return typeof stack === "string" ? stack : undefined;
}

export function failure(code: string, message: string, internal: string | null = null): ApiFailure {
  return { failure: true, code, message, internal, details: null };
}

export function internalFailure(internal: string): ApiFailure {
  return failure("internal", INTERNAL_MESSAGE, internal);
}

export function isFailure(value: unknown): value is ApiFailure {
  return typeof value === "object" && value !== null && (value as { failure?: unknown }).failure === true;
}

export function statusOf(f: ApiFailure): number {
  return STATUS[f.code] ?? 500;
}

/** Code that the log shows for a raw response (httputil.rs `code_for_http_status`). */
export function codeOfStatus(status: number): string {
  if (status < 400) return "ok";
  for (const [code, s] of Object.entries(STATUS)) {
    if (s === status && code !== "data_loss" && code !== "unknown" && code !== "aborted") return code;
  }
  return "unknown";
}

/**
 * What a handler threw, as runtimes/js/src/pvalue.rs `coerce_to_api_error` reads it: `code`, `message`, `cause` and
 * `details` of any object, so that an APIError of another copy of encore.dev counts as well.
 */
export function fromThrown(thrown: unknown): ApiFailure {
  if (isFailure(thrown)) return thrown;
  if (thrown === null || thrown === undefined) return internalFailure("an unknown exception was thrown");
  const object = Object(thrown) as {
    code?: unknown;
    message?: unknown;
    cause?: unknown;
    details?: unknown;
  };
  let details: string | null = null;
  try {
    details = object.details === undefined || object.details === null ? null : encodeDetails(object.details);
  } catch (e) {
    return internalFailure(`unable to parse error details: ${e instanceof Error ? e.message : String(e)}`);
  }
  let message = text(object.message);
  const name = text(object.code);
  const code = Object.hasOwn(STATUS, name) ? name : "internal";
  if (object.cause !== undefined && object.cause !== null) {
    message += `: ${text((Object(object.cause) as { message?: unknown }).message)}`;
  }
  if (code !== "internal") return { failure: true, code, message, internal: null, details, thrown: object };
  return { failure: true, code, message: INTERNAL_MESSAGE, internal: message, details, thrown: object };
}

function text(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "";
  }
}

function encodeDetails(details: unknown): string {
  if (typeof details !== "object") {
    throw new Error(`InvalidArg, Expect value to be Object, but received ${typeName(details)}`);
  }
  return encodeJson(details);
}

/** The name that the native bindings print for a JavaScript type. */
export function typeName(value: unknown): string {
  if (value === null) return "Null";
  const t = typeof value;
  return t === "bigint" ? "BigInt" : t.charAt(0).toUpperCase() + t.slice(1);
}

/** Body of an error for somebody outside; `internal_message` only where the environment is local. */
export function errorBody(f: ApiFailure, local: boolean): string {
  const head = `{"code":"${f.code}","message":${JSON.stringify(f.message)},"details":${f.details ?? "null"}`;
  return local
    ? `${head},"internal_message":${f.internal === null ? "null" : JSON.stringify(f.internal)}}`
    : `${head}}`;
}
