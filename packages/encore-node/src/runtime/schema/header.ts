/** Header and cookie values against a schema (jsonschema/parse.rs): text, one value each, its own wording of errors. */

import { makeDecimal } from "../decimal.js";
import { type ApiFailure, failure, isFailure } from "../errors.js";
import { parseRfc3339 } from "./datetime.js";
import { type Basic, expecting, literalText, type Node, resolve } from "./node.js";
import { rustString } from "./text.js";

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

export type TextKind = "header" | "cookie";

export function parseText(text: string, node: Node, kind: TextKind): unknown {
  const n = resolve(node);
  const invalid = `invalid ${kind} value`;
  switch (n.kind) {
    case "basic":
      return parseBasic(n.basic, text);
    case "validation": {
      const value = parseText(text, n.inner, kind);
      if (isFailure(value)) return value;
      const error = n.rule(value, /[.eE]/.test(text), false);
      return error === null ? value : failure("invalid_argument", invalid, `${invalid}: ${error}`);
    }
    case "literal":
      if (
        n.type === "str" ? text === n.value : n.type === "bool" ? text === String(n.value) : Number(text) === n.value
      ) {
        return n.value;
      }
      return failure("invalid_argument", invalid, `expected ${literalText(n)}, got ${text}`);
    case "union":
      for (const t of n.types) {
        const value = parseText(text, t, kind);
        if (!isFailure(value)) return value;
      }
      return failure("invalid_argument", invalid, `no union value matched: ${text}`);
    default:
      return failure(
        "invalid_argument",
        "unsupported schema type",
        `got an unsupported schema type: ${expecting(n, true)}`,
      );
  }
}

function parseBasic(basic: Basic, text: string): unknown {
  switch (basic) {
    case "any":
    case "string":
      return text;
    case "null":
      if (text === "" || text === "null") return null;
      return failure("invalid_argument", "invalid value", `expected null, got ${rustString(text)}`);
    case "bool":
      if (text === "true") return true;
      return text === "false" ? false : failure("invalid_argument", `invalid boolean value: ${text}`);
    case "number":
      return parseNumber(text) ?? failure("invalid_argument", `invalid number value: ${text}`);
    case "datetime": {
      const ms = parseRfc3339(text);
      if (typeof ms === "number") return new Date(ms);
      return failure("invalid_argument", "invalid datetime", `invalid datetime string ${rustString(text)}`);
    }
    case "decimal":
      try {
        return makeDecimal(text);
      } catch {
        return failure("invalid_argument", `invalid decimal value: ${text}`);
      }
  }
}

/** A JSON number without anything around it; integers beyond 2^53 are bigints while they fit 64 bits. */
export function parseNumber(text: string): number | bigint | undefined {
  if (!JSON_NUMBER.test(text)) return undefined;
  const n = Number(text);
  if (!Number.isFinite(n)) return undefined;
  if (Number.isSafeInteger(n) || /[.eE]/.test(text)) return n;
  const big = BigInt(text);
  return big <= 18446744073709551615n && big >= -9223372036854775808n ? big : n;
}

/** All values of a header, in order; Node joins some of them. */
export function headerValues(raw: readonly string[], name: string): string[] {
  const out: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const key = raw[i] as string;
    if (key.length === name.length && key.toLowerCase() === name) out.push(utf8(raw[i + 1] as string));
  }
  return out;
}

/** Node hands headers over as latin1; Encore reads UTF-8. */
export function utf8(value: string): string {
  return /[\u0080-\u00ff]/.test(value) ? Buffer.from(value, "latin1").toString("utf8") : value;
}

export interface TextField {
  /** Property in the handler's request. */
  name: string;
  /** Name on the wire; a header's is in lower case here and as written in `shown`. */
  wire: string;
  shown: string;
  optional: boolean;
  node: Node;
}

export function decodeHeaders(
  raw: readonly string[],
  fields: TextField[],
  out: Record<string, unknown>,
): ApiFailure | null {
  for (const field of fields) {
    const values = headerValues(raw, field.wire);
    const first = values[0];
    if (first === undefined) {
      if (field.optional) continue;
      return failure("invalid_argument", `missing required header: ${field.shown}`);
    }
    const n = resolve(field.node);
    const value =
      n.kind === "array"
        ? firstFailure(values.map((v) => parseText(v, n.item, "header")))
        : parseText(first, n, "header");
    if (isFailure(value)) return value;
    out[field.name] = value;
  }
  return null;
}

function firstFailure(values: unknown[]): unknown {
  return values.find(isFailure) ?? values;
}

/** Cookies of all `Cookie` headers; a later one of the same name replaces the earlier. */
export function cookieJar(raw: readonly string[]): Map<string, string> {
  const jar = new Map<string, string>();
  for (const header of headerValues(raw, "cookie")) {
    for (const part of header.split(";")) {
      const eq = part.indexOf("=");
      if (eq < 1) continue;
      const name = part.slice(0, eq).trim();
      if (name !== "") jar.set(name, part.slice(eq + 1).trim());
    }
  }
  return jar;
}

export function decodeCookies(
  raw: readonly string[],
  fields: TextField[],
  out: Record<string, unknown>,
): ApiFailure | null {
  const jar = cookieJar(raw);
  for (const field of fields) {
    const text = jar.get(field.shown);
    if (text === undefined) {
      if (field.optional) continue;
      return failure("invalid_argument", `missing required cookie: ${field.shown}`);
    }
    const value = parseText(text, field.node, "cookie");
    if (isFailure(value)) return value;
    out[field.name] = { name: field.shown, value };
  }
  return null;
}
