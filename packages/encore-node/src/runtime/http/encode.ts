/** The handler's answer on the wire (schema/mod.rs `encode`): headers, cookies, status, then the body's own fields. */

import { canonicalDecimal } from "../decimal.js";
import { type ApiFailure, failure, internalFailure, isFailure, typeName } from "../errors.js";
import { encodeJson, encodeString, numberText } from "../json/write.js";
import { rfc3339 } from "../schema/datetime.js";
import type { TextField } from "../schema/header.js";
import type { StructNode } from "../schema/node.js";
import type { ResponseShape } from "./endpoint.js";

export interface Answer {
  status: number;
  /** Names and values in turn. */
  headers: string[];
  /** Null: no body and no content type. */
  body: string | null;
}

export interface HandlerResult {
  payload: unknown;
  extraHeaders?: Record<string, string | string[]> | null;
  status?: number;
}

export function encodeAnswer(shape: ResponseShape, result: HandlerResult): Answer | ApiFailure {
  const given = result.payload;
  const payload = given === undefined || given === null ? null : given;
  if (payload !== null && typeof payload !== "object") {
    return internalFailure(`InvalidArg, Expect value to be Object, but received ${typeName(payload)}`);
  }
  try {
    return encode(shape, payload as Record<string, unknown> | null, result);
  } catch (e) {
    if (isFailure(e)) return e;
    return internalFailure(e instanceof Error ? e.message : String(e));
  }
}

function encode(shape: ResponseShape, payload: Record<string, unknown> | null, result: HandlerResult): Answer {
  const headers: string[] = [];
  let status = typeof result.status === "number" ? result.status : 200;
  if (payload === null && shape.headers.length > 0) throw missing("header");
  if (payload === null && shape.cookies.length > 0) throw missing("cookie");
  // The body first: a value that cannot be sent at all is an internal error whatever else is wrong.
  const body = shape.body ? encodeFields(shape.body, payload) : null;
  for (const f of shape.headers) {
    const value = payload?.[f.name];
    if (value === undefined) continue;
    for (const text of headerTexts(value)) headers.push(f.shown.toLowerCase(), text);
  }
  for (const f of shape.cookies) {
    const value = payload?.[f.name];
    if (typeof value === "object" && value !== null) headers.push("set-cookie", setCookie(f, value as Cookie));
  }
  if (shape.status !== null && payload && payload[shape.status] !== undefined) {
    status = statusField(shape.status, payload[shape.status]);
  }
  const extra = result.extraHeaders;
  if (extra) for (const name in extra) setExtra(headers, name.toLowerCase(), extra[name]);
  return { status, headers, body };
}

function missing(what: string): ApiFailure {
  return failure("invalid_argument", `missing ${what} parameters`, `missing ${what} parameters`);
}

/** The fields that the type has; others are dropped here, and only here. */
export function encodeFields(node: StructNode, payload: Record<string, unknown> | null): string {
  let out = "";
  if (payload) {
    for (const field of node.declared) {
      const value = payload[field.name];
      if (value === undefined) continue;
      out += `${out === "" ? "{" : ","}${encodeString(field.name)}:${encodeJson(value, 1)}`;
    }
  }
  return out === "" ? "{}" : `${out}}`;
}

/** A header of a middleware replaces the endpoint's own. */
function setExtra(headers: string[], name: string, value: string | string[] | undefined): void {
  if (value === undefined) return;
  for (let i = headers.length - 2; i >= 0; i -= 2) if (headers[i] === name) headers.splice(i, 2);
  for (const v of Array.isArray(value) ? value : [value]) headers.push(name, v);
}

const HEADER_VALUE = /^[\t\x20-\x7e\x80-\uffff]*$/;

export function headerTexts(value: unknown): string[] {
  if (Array.isArray(value)) return value.map((v) => (Array.isArray(v) ? unsupported("nested array") : headerText(v)));
  return [headerText(value)];
}

function headerText(value: unknown): string {
  switch (typeof value) {
    case "string":
      if (!HEADER_VALUE.test(value)) {
        throw failure(
          "invalid_argument",
          "unable to convert string to header value",
          "unable to convert string to header value: failed to parse header value",
        );
      }
      return /[\u0080-\uffff]/.test(value) ? Buffer.from(value).toString("latin1") : value;
    case "number":
      if (!Number.isFinite(value)) encodeJson(value);
      return numberText(value);
    case "boolean":
    case "bigint":
      return String(value);
    case "object":
      if (value === null) return "null";
      if (value instanceof Date) return rfc3339(value, "+00:00");
      if ("__encore_decimal" in value) return canonicalDecimal(String((value as { value?: unknown }).value));
      return unsupported("map");
    default:
      return encodeJson(value);
  }
}

function unsupported(what: string): never {
  throw failure("invalid_argument", `${what} type unsupported as header value`);
}

function statusField(name: string, value: unknown): number {
  const wrong = (words: string) =>
    failure("invalid_argument", `invalid http status code: HTTP status field '${name}' must be ${words}`);
  if (typeof value !== "number") throw wrong(`a number, got: ${typeof value}`);
  if (!Number.isInteger(value) || value < 0) throw wrong("a positive integer");
  if (value < 100 || value > 599) throw wrong(`a between 100 and 599, got: ${value}`);
  return value;
}

interface Cookie {
  value?: unknown;
  path?: unknown;
  domain?: unknown;
  secure?: unknown;
  httpOnly?: unknown;
  expires?: unknown;
  maxAge?: unknown;
  sameSite?: unknown;
  partitioned?: unknown;
}

/** Attributes in the order of Rust's cookie crate (recording `cookie`). */
function setCookie(field: TextField, c: Cookie): string {
  const bad = (words: string) => failure("invalid_argument", `couldn't parse response: InvalidArg, ${words}`);
  if (c.value === undefined) throw bad("cookie requires a value");
  if (c.sameSite !== undefined && !["Lax", "Strict", "None"].includes(String(c.sameSite))) {
    throw bad("cookie field sameSite must be one of Lax, Strict or None");
  }
  let out = `${field.shown}=${headerText(c.value)}`;
  if (c.httpOnly === true) out += "; HttpOnly";
  if (c.sameSite !== undefined) out += `; SameSite=${c.sameSite}`;
  if (c.partitioned === true) out += "; Partitioned";
  if (c.secure === true || c.partitioned === true || (c.secure === undefined && c.sameSite === "None"))
    out += "; Secure";
  if (c.path !== undefined) out += `; Path=${headerText(c.path)}`;
  if (c.domain !== undefined) out += `; Domain=${headerText(c.domain).replace(/^\./, "")}`;
  if (c.maxAge !== undefined) {
    if (!Number.isInteger(c.maxAge)) throw bad("cookie field maxAge must be an integer");
    out += `; Max-Age=${Math.max(0, Number(c.maxAge))}`;
  }
  if (c.expires instanceof Date) out += `; Expires=${c.expires.toUTCString()}`;
  return out;
}
