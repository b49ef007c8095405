/**
 * JavaScript values to JSON as Encore's native bindings convert them (runtimes/js/src/pvalue.rs `from_napi_value`):
 * not JSON.stringify. `toJSON` is not called, NaN is an error, `undefined` properties are dropped, a Date is RFC 3339
 * without empty milliseconds, a bigint is a string.
 */

import { canonicalDecimal } from "../decimal.js";
import { rfc3339 } from "../schema/datetime.js";

/** Deepest value, as Encore (MAX_PARSE_DEPTH); a circular object ends here. */
export const MAX_DEPTH = 128;

export class EncodeError extends Error {
  constructor(reason: string) {
    super(`InvalidArg, ${reason}`);
  }
}

const NEEDS_ESCAPE = /["\\\p{Cc}\p{Cs}]/u;

/** Encore's bindings read strings as UTF-8, which has no halves of characters. */
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

export function encodeString(s: string): string {
  if (!NEEDS_ESCAPE.test(s)) return `"${s}"`;
  return JSON.stringify(s.replace(LONE_SURROGATE, "\ufffd"));
}

/** Any value but `undefined`. */
export function encodeJson(value: unknown, depth = 0): string {
  switch (typeof value) {
    case "string":
      return encodeString(value);
    case "number":
      if (!Number.isFinite(value)) throw new EncodeError("Failed to convert js number to serde_json::Number");
      return Object.is(value, -0) ? "0" : String(value);
    case "boolean":
      return value ? "true" : "false";
    case "bigint":
      return `"${value}"`;
    case "object":
      if (value === null) return "null";
      if (depth > MAX_DEPTH) {
        throw new EncodeError(
          `value exceeds the maximum nesting depth of ${MAX_DEPTH}; does it contain a circular reference?`,
        );
      }
      if (Array.isArray(value)) return encodeArray(value, depth);
      if (value instanceof Date) return `"${rfc3339(value, "Z")}"`;
      if ("__encore_decimal" in value) return `"${canonicalDecimal(String((value as { value?: unknown }).value))}"`;
      return encodeObject(value as Record<string, unknown>, depth);
    case "undefined":
      throw new EncodeError("undefined cannot be represented as a serde_json::Value");
    case "function":
      throw new EncodeError("JS functions cannot be represented as a serde_json::Value");
    default:
      throw new EncodeError("JS symbols cannot be represented as a serde_json::Value");
  }
}

function encodeArray(list: unknown[], depth: number): string {
  if (list.length === 0) return "[]";
  let out = "[";
  for (let i = 0; i < list.length; i++) {
    if (i > 0) out += ",";
    out += encodeJson(list[i], depth + 1);
  }
  return `${out}]`;
}

/** Enumerable properties, the prototype's included: napi_get_property_names sees them too. */
function encodeObject(object: Record<string, unknown>, depth: number): string {
  let out = "";
  for (const key in object) {
    const value = object[key];
    if (value === undefined) continue;
    out += `${out === "" ? "{" : ","}${encodeString(key)}:${encodeJson(value, depth + 1)}`;
  }
  return out === "" ? "{}" : `${out}}`;
}

/** A number as serde_json prints it: an integer outside 32 bits came as a float, so it has a fraction. */
export function numberText(n: number): string {
  if (Number.isInteger(n) && n >= -2147483648 && n <= 4294967295) return String(n === 0 ? 0 : n);
  const s = String(n).replace("e+", "e");
  return /[.e]/.test(s) ? s : `${s}.0`;
}
