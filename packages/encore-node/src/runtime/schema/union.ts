/**
 * Objects and lists inside a union: Encore reads them without a schema, takes the first variant that fits, and then
 * makes dates and decimals of their strings (de.rs `validate` and `transform`).
 */

import { makeDecimal } from "../decimal.js";
import { buildObject, JsonFloat, type Untyped } from "../json/untyped.js";
import { parseRfc3339 } from "./datetime.js";
import { type Node, resolve } from "./node.js";

export function fits(node: Node, value: Untyped): boolean {
  const n = resolve(node);
  switch (n.kind) {
    case "validation":
      return fits(n.inner, value) && n.rule(plain(value), value instanceof JsonFloat, true) === null;
    case "union":
      return n.types.some((t) => fits(t, value));
    case "basic":
      return fitsBasic(n.basic, value);
    case "literal":
      if (value instanceof JsonFloat) return n.type === "float" && n.value === value.value;
      if (n.type === "float")
        return Number(value) === n.value && (typeof value === "number" || typeof value === "bigint");
      return value === n.value;
    case "array":
      return Array.isArray(value) && value.every((v) => fits(n.item, v));
    case "tuple":
      return (
        Array.isArray(value) && value.length === n.items.length && value.every((v, i) => fits(n.items[i] as Node, v))
      );
    case "map":
      return value instanceof Map && [...value.values()].every((v) => fits(n.item, v));
    case "struct":
      return (
        value instanceof Map &&
        n.declared.every((f) => {
          const v = value.get(f.name);
          return v === undefined ? f.optional : fits(f.node, v);
        })
      );
  }
}

function fitsBasic(basic: string, value: Untyped): boolean {
  switch (basic) {
    case "any":
      return true;
    case "null":
      return value === null;
    case "bool":
      return typeof value === "boolean";
    case "number":
      return typeof value === "number" || typeof value === "bigint" || value instanceof JsonFloat;
    case "string":
      return typeof value === "string";
    case "datetime":
      return typeof value === "string" && typeof parseRfc3339(value) === "number";
    default:
      return typeof value === "string" && asDecimal(value) !== undefined;
  }
}

function asDecimal(value: string): unknown {
  try {
    return makeDecimal(value);
  } catch {
    return undefined;
  }
}

/** The value that a fitting variant makes of it. */
export function transform(node: Node, value: Untyped): unknown {
  const n = resolve(node);
  if (n.kind === "validation") return transform(n.inner, value);
  if (n.kind === "union") {
    const t = n.types.find((c) => fits(c, value));
    return t ? transform(t, value) : plain(value);
  }
  if (typeof value === "string") {
    if (n.kind !== "basic") return value;
    if (n.basic === "datetime") return new Date(parseRfc3339(value) as number);
    return n.basic === "decimal" ? makeDecimal(value) : value;
  }
  if (Array.isArray(value)) {
    if (n.kind === "array") return value.map((v) => transform(n.item, v));
    if (n.kind === "tuple") return value.map((v, i) => transform(n.items[i] as Node, v));
    return plain(value);
  }
  if (!(value instanceof Map)) return plain(value);
  const keys: string[] = [];
  const values: unknown[] = [];
  for (const [key, v] of value) {
    const item = n.kind === "struct" ? n.fields.get(key)?.node : n.kind === "map" ? n.item : n;
    if (!item) continue;
    keys.push(key);
    values.push(transform(item, v));
  }
  return buildObject(keys, values);
}

function plain(value: Untyped): unknown {
  if (value instanceof JsonFloat) return value.value;
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  return buildObject([...value.keys()], [...value.values()].map(plain));
}
