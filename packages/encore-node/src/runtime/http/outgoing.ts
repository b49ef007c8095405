/** The parts of a call between services on their way out: path, query, headers and cookies (schema's `to_outgoing_request`). */

import { canonicalDecimal } from "../decimal.js";
import { failure, internalFailure } from "../errors.js";
import { numberText } from "../json/write.js";
import { rfc3339 } from "../schema/datetime.js";
import type { Payload } from "./decode.js";
import { headerTexts } from "./encode.js";
import type { Endpoint, RequestShape } from "./endpoint.js";

export function need(data: Payload | null, what: string): Payload {
  if (!data) throw failure("invalid_argument", `missing ${what} parameters`, `missing ${what} parameters`);
  return data;
}

export function requestPath(endpoint: Endpoint, data: Payload | null): { path: string; params: string[] } {
  const params: string[] = [];
  const parts = endpoint.meta.path.map((s) => {
    if (s.kind === "literal") return s.value;
    const value = data?.[s.name];
    if (value === undefined) {
      throw failure(
        "invalid_argument",
        "missing field in request payload",
        `missing field in request payload: ${s.name}`,
      );
    }
    const text = encodeURIComponent(scalar(value, s.name));
    params.push(text);
    return text;
  });
  return { path: `/${parts.join("/")}`, params };
}

function scalar(value: unknown, name: string): string {
  if (typeof value === "string") return value;
  if (value === null || typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number") return numberText(value);
  if (value instanceof Date) return rfc3339(value, "+00:00");
  if (typeof value === "object" && "__encore_decimal" in value) return canonicalDecimal(String(value));
  throw failure(
    "invalid_argument",
    "unsupported type in request payload",
    `unsupported type in request payload for field ${name}`,
  );
}

/** Every field goes along, as Encore's serializer does it; objects and nulls have no form there. */
export function queryPairs(data: Payload): [string, string][] {
  const out: [string, string][] = [];
  for (const key in data) {
    const value = data[key];
    if (value === undefined) continue;
    for (const v of Array.isArray(value) ? value : [value]) {
      if (v === null || Array.isArray(v)) throw internalFailure("unsupported value");
      try {
        out.push([key, scalar(v, key)]);
      } catch {
        throw internalFailure("unsupported value");
      }
    }
  }
  return out;
}

export function headerPairs(shape: RequestShape, data: Payload | null): string[] {
  const raw: string[] = [];
  for (const f of shape.headers) {
    const value = need(data, "header")[f.name];
    if (value === undefined) {
      if (f.optional) continue;
      throw failure("invalid_argument", `missing header parameter: ${f.name}`, `missing header parameter: ${f.name}`);
    }
    for (const text of headerTexts(value)) raw.push(f.wire, text);
  }
  for (const f of shape.cookies) {
    const value = need(data, "cookie")[f.name];
    if (typeof value !== "object" || value === null) {
      if (f.optional) continue;
      throw failure("invalid_argument", `missing cookie parameter: ${f.name}`, `missing cookie parameter: ${f.name}`);
    }
    raw.push("cookie", `${f.shown}=${headerTexts((value as { value: unknown }).value)[0]}`);
  }
  return raw;
}
