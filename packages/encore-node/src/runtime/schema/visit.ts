/** What a schema makes of one scalar: the visitors of runtimes/core/src/api/jsonschema/de.rs, shared by body and query. */

import { makeDecimal } from "../decimal.js";
import { parseRfc3339 } from "./datetime.js";
import { expecting, literalText, type Node } from "./node.js";
import { rustFloatDebug, rustString } from "./text.js";

/** An error as a value: the caller knows the position. */
export class Mismatch {
  constructor(readonly message: string) {}
}

export interface ScalarOptions {
  /** Query: strings become numbers and booleans, and one string is a list of one. */
  coerce: boolean;
}

function invalidType(got: string, node: Node): Mismatch {
  return new Mismatch(`invalid type: ${got}, expected ${expecting(node)}`);
}

function firstFit(types: Node[], visit: (n: Node) => unknown): unknown {
  for (const t of types) {
    const v = visit(t);
    if (!(v instanceof Mismatch)) return v;
  }
  return undefined;
}

export function visitNull(node: Node): unknown {
  switch (node.kind) {
    case "ref":
      return visitNull(node.target as Node);
    case "basic":
      if (node.basic === "any" || node.basic === "null") return null;
      break;
    case "union":
      if (firstFit(node.types, visitNull) === null) return null;
      break;
  }
  return invalidType("Option value", node);
}

export function visitBool(node: Node, value: boolean): unknown {
  switch (node.kind) {
    case "ref":
      return visitBool(node.target as Node, value);
    case "basic":
      if (node.basic === "any" || node.basic === "bool") return value;
      break;
    case "literal":
      if (node.value === value) return value;
      break;
    case "validation":
      return checked(node, visitBool(node.inner, value), false);
    case "union": {
      const v = firstFit(node.types, (t) => visitBool(t, value));
      if (v !== undefined) return v;
    }
  }
  return invalidType(`boolean \`${value}\``, node);
}

export function visitNumber(node: Node, value: number | bigint, float: boolean): unknown {
  switch (node.kind) {
    case "ref":
      return visitNumber(node.target as Node, value, float);
    case "basic":
      if (node.basic === "any" || node.basic === "number") return value;
      break;
    case "literal":
      if (node.value === value && node.type === (float ? "float" : "int")) return value;
      break;
    case "validation":
      return checked(node, visitNumber(node.inner, value, float), float);
    case "union": {
      const v = firstFit(node.types, (t) => visitNumber(t, value, float));
      if (v !== undefined) return v;
    }
  }
  return invalidType(float ? `floating point \`${rustFloatDebug(Number(value))}\`` : `integer \`${value}\``, node);
}

export function visitString(node: Node, value: string, options: ScalarOptions): unknown {
  switch (node.kind) {
    case "ref":
      return visitString(node.target as Node, value, options);
    case "basic":
      return basicString(node, value, options);
    case "literal":
      return literalString(node, value, options);
    case "array":
      if (options.coerce) {
        const item = visitString(node.item, value, options);
        return item instanceof Mismatch ? item : [item];
      }
      break;
    case "validation":
      return checked(node, visitString(node.inner, value, options), coercedFloat(value));
    case "union": {
      const v = firstFit(node.types, (t) => visitString(t, value, options));
      if (v !== undefined) return v;
    }
  }
  return invalidType(`string ${rustString(value)}`, node);
}

function checked(node: Extract<Node, { kind: "validation" }>, value: unknown, float: boolean): unknown {
  if (value instanceof Mismatch) return value;
  const error = node.rule(value, float, false);
  return error === null ? value : new Mismatch(error);
}

function basicString(node: Extract<Node, { kind: "basic" }>, value: string, options: ScalarOptions): unknown {
  switch (node.basic) {
    case "any":
    case "string":
      return value;
    case "datetime": {
      const ms = parseRfc3339(value);
      return typeof ms === "number" ? new Date(ms) : new Mismatch(`invalid datetime: ${ms}`);
    }
    case "decimal":
      try {
        return makeDecimal(value);
      } catch (e) {
        return new Mismatch(`invalid decimal: ${(e as Error).message}`);
      }
  }
  if (!options.coerce) return invalidType(`string ${rustString(value)}`, node);
  if (node.basic === "bool") {
    return value === "true" || (value === "false" ? false : new Mismatch(`expected a boolean, got ${value}`));
  }
  if (node.basic === "null") return value === "null" ? null : new Mismatch(`expected null, got ${value}`);
  const n = parseRustNumber(value);
  return n === undefined ? new Mismatch(`expected a number, got ${value}`) : n;
}

function literalString(node: Extract<Node, { kind: "literal" }>, value: string, options: ScalarOptions): unknown {
  if (node.value === value) return value;
  const wrong = new Mismatch(`expected ${literalText(node)}, got ${value}`);
  if (!options.coerce || node.type === "str") return wrong;
  if (node.type === "bool") return value === "true" || value === "false" ? visitBool(node, value === "true") : wrong;
  const n = parseRustNumber(value);
  if (typeof n !== "number" && typeof n !== "bigint") return wrong;
  if (node.type === "int") return coercedFloat(value) ? wrong : visitNumber(node, n, false);
  return visitNumber(node, n, true);
}

const INTEGER = /^[+-]?\d+$/;
const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const NOT_FINITE = /^[+-]?(?:inf|infinity|nan)$/i;
const I64_MAX = 9223372036854775807n;

function coercedFloat(value: string): boolean {
  return !INTEGER.test(value) || (typeof parseRustNumber(value) === "number" && !Number.isSafeInteger(Number(value)));
}

/** `str::parse` of i64, then of f64; what is not finite becomes null, as serde_json has no such number. */
export function parseRustNumber(value: string): number | bigint | null | undefined {
  if (INTEGER.test(value)) {
    const n = Number(value);
    if (Number.isSafeInteger(n)) return n === 0 ? 0 : n;
    const big = BigInt(value.replace(/^\+/, ""));
    if (big <= I64_MAX && big >= -I64_MAX - 1n) return big;
  }
  if (FLOAT.test(value)) {
    const n = Number(value.replace(/^\+/, ""));
    return Number.isFinite(n) ? n : null;
  }
  return NOT_FINITE.test(value) ? null : undefined;
}
