/** Query strings against a schema (schema/query.rs): form decoding, lists by repetition, no path positions in errors. */

import { DecodeError, missingFields } from "../json/decode.js";
import { buildObject } from "../json/untyped.js";
import type { StructNode } from "./node.js";
import { Mismatch, visitString } from "./visit.js";

const QUERY = { coerce: true };

export type Pairs = [string, string][];

export function parsePairs(query: string): Pairs {
  // URLSearchParams takes a leading question mark for the query's own.
  return query === "" ? [] : [...new URLSearchParams(query.startsWith("?") ? `&${query}` : query)];
}

/** Throws DecodeError. Names are those of the fields: a name given to `Query<>` is not used (recording `query-all`). */
export function decodeQuery(pairs: Pairs, node: StructNode): Record<string, unknown> {
  const seen = new Map<string, unknown>();
  for (const [key, text] of pairs) {
    const field = node.fields.get(key);
    if (!field) continue;
    const value = visitString(field.node, text, QUERY);
    if (value instanceof Mismatch) throw new DecodeError(`${key}: ${value.message}`);
    const before = seen.get(key);
    if (before === undefined && !seen.has(key)) seen.set(key, value);
    else if (Array.isArray(value) && Array.isArray(before)) before.push(...value);
    else throw new DecodeError(`duplicate field ${key}`);
  }
  if (node.declared.some((f) => !f.optional && !seen.has(f.name))) {
    throw new DecodeError(missingFields(node, (f) => seen.has(f.name)));
  }
  return buildObject([...seen.keys()], [...seen.values()]);
}
