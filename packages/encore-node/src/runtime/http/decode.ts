/** The request's payload: path, query, headers and cookies first, then the body (schema/mod.rs `extract`). */

import { type ApiFailure, failure, isFailure } from "../errors.js";
import { DecodeError, decodeStruct } from "../json/decode.js";
import { decodeCookies, decodeHeaders, parseNumber } from "../schema/header.js";
import type { StructNode } from "../schema/node.js";
import { decodeQuery, type Pairs, parsePairs } from "../schema/query.js";
import type { PathParam, RequestShape } from "./endpoint.js";

export type Payload = Record<string, unknown>;

/** Everything but the body. */
export function decodeHead(
  shape: RequestShape,
  params: string[],
  query: string | Pairs,
  rawHeaders: readonly string[],
  out: Payload,
  pathParams: Payload,
): ApiFailure | null {
  for (let i = 0; i < shape.params.length && i < params.length; i++) {
    const param = shape.params[i] as PathParam;
    const value = decodeParam(param, params[i] as string);
    if (isFailure(value)) return value;
    out[param.name] = value;
    pathParams[param.name] = value;
  }
  if (shape.query) {
    try {
      Object.assign(out, decodeQuery(typeof query === "string" ? parsePairs(query) : query, shape.query));
    } catch (e) {
      return decodeFailure("unable to decode query string", e);
    }
  }
  if (shape.headers.length > 0) {
    const f = decodeHeaders(rawHeaders, shape.headers, out);
    if (f) return f;
  }
  return shape.cookies.length > 0 ? decodeCookies(rawHeaders, shape.cookies, out) : null;
}

export function decodeBody(node: StructNode, body: Buffer | string, out: Payload, what: string): ApiFailure | null {
  try {
    const fields = decodeStruct(body, node);
    for (const key in fields) out[key] = fields[key];
    return null;
  } catch (e) {
    return decodeFailure(`unable to decode ${what}`, e);
  }
}

function decodeFailure(what: string, e: unknown): ApiFailure {
  if (!(e instanceof DecodeError)) throw e;
  return failure("invalid_argument", `${what}: ${e.message}`);
}

function decodeParam(param: PathParam, encoded: string): unknown {
  const text = percentDecode(encoded);
  if (text === null) return failure("invalid_argument", "unable to parse path params", "Invalid UTF-8 in `_`");
  let value: unknown = text;
  let float = false;
  if (param.type === "number") {
    const n = parseNumber(text.trim());
    if (n === undefined)
      return failure("invalid_argument", "path parameter is not a valid number", scalarError(text, true));
    value = n;
    float = /[.eE]/.test(text);
  } else if (param.type === "boolean") {
    if (text !== "true" && text !== "false") {
      return failure("invalid_argument", "path parameter is not a valid boolean", scalarError(text, false));
    }
    value = text === "true";
  }
  const error = param.rule?.(value, float, false);
  return error ? failure("invalid_argument", `invalid path parameter ${param.name}: ${error}`) : value;
}

/** serde_json's sentence for text that is no number or boolean. */
function scalarError(text: string, number: boolean): string {
  const numeric = /^-?\d+(\.\d+)?/.exec(text);
  if (number && numeric) return `trailing characters at line 1 column ${numeric[0].length + 1}`;
  if (number && text === "-") return "EOF while parsing a value at line 1 column 1";
  const type = numeric
    ? `integer \`${numeric[0]}\``
    : /^"/.test(text)
      ? `string ${text}`
      : /^null$/.test(text)
        ? "null"
        : null;
  if (type)
    return `invalid type: ${type}, expected ${number ? "a JSON number" : "a boolean"} at line 1 column ${text.length}`;
  if (number && /^(true|false)$/.test(text))
    return `invalid type: boolean \`${text}\`, expected a JSON number at line 1 column ${text.length}`;
  return /^[tfn]/.test(text) ? "expected ident at line 1 column 2" : "expected value at line 1 column 1";
}

/** Whether every percent sign begins an escape (recording `path-bad-encoding`). */
export function wellEncoded(path: string): boolean {
  return !path.includes("%") || !/%(?![0-9a-fA-F]{2})/.test(path);
}

/** Null where the escapes are no UTF-8. */
function percentDecode(text: string): string | null {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
