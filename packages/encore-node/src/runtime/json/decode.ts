/** JSON text against a schema in one pass: values, errors, their path and position are serde's. */

import { expecting, type Node, resolve, type StructField, type StructNode } from "../schema/node.js";
import { andList } from "../schema/text.js";
import { fits, transform } from "../schema/union.js";
import { Mismatch, visitBool, visitNull, visitNumber, visitString } from "../schema/visit.js";
import { UntypedReader } from "./read-untyped.js";
import { DecodeError, OPEN_LIST, OPEN_MAP, QUOTE } from "./scan.js";
import { buildObject } from "./untyped.js";

const BODY = { coerce: false };
const ANY: Node = { kind: "basic", basic: "any" };
const ABSENT = Symbol("absent");

/** Decodes one value; what follows it is not looked at, as Encore does not. Throws DecodeError. */
export function decodeJson(input: Buffer | string, node: Node): unknown {
  return new JsonDecoder(...textOf(input)).value(node);
}

export function decodeStruct(input: Buffer | string, node: StructNode): Record<string, unknown> {
  return decodeJson(input, node) as Record<string, unknown>;
}

/** A schemaless value, for jsonb columns and error details. */
export function decodeAny(input: Buffer | string): unknown {
  return decodeJson(input, ANY);
}

function textOf(input: Buffer | string): [string, boolean] {
  if (typeof input === "string") return [input, false];
  const text = input.toString("utf8");
  if (!text.includes("\ufffd")) return [text, false];
  try {
    return [new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(input), false];
  } catch {
    return [input.toString("latin1"), true];
  }
}

class JsonDecoder extends UntypedReader {
  value(node: Node): unknown {
    const c = this.peek();
    if (c === QUOTE) return this.done(visitString(node, this.string(), BODY));
    if (c === OPEN_MAP) return this.map(node);
    if (c === OPEN_LIST) return this.list(node);
    if (this.isNumberStart(c)) {
      const n = this.number();
      return this.done(visitNumber(node, n, this.float));
    }
    switch (c) {
      case 116:
        this.word("true");
        return this.done(visitBool(node, true));
      case 102:
        this.word("false");
        return this.done(visitBool(node, false));
      case 110:
        this.word("null");
        return this.done(visitNull(node));
    }
    return this.failPeek(Number.isNaN(c) ? "EOF while parsing a value" : "expected value");
  }

  private done(value: unknown): unknown {
    return value instanceof Mismatch ? this.fail(value.message) : value;
  }

  private map(node: Node): unknown {
    this.enter();
    const out = this.visitMap(node);
    this.leave();
    return out;
  }

  private list(node: Node): unknown {
    this.enter();
    const out = this.visitList(node);
    this.leave();
    return out;
  }

  private visitMap(node: Node): unknown {
    const n = resolve(node);
    switch (n.kind) {
      case "struct":
        return this.struct(n);
      case "map":
        return this.entries(n.item);
      case "basic":
        if (n.basic === "any") return this.entries(n);
        break;
      case "validation": {
        const value = this.visitMap(n.inner);
        const error = n.rule(value, false, false);
        return error === null ? value : this.failInMap(error);
      }
      case "union": {
        const value = this.untypedMap();
        for (const t of n.types) if (fits(t, value)) return transform(t, value);
      }
    }
    return this.failInMap(`invalid type: map, expected ${expecting(n)}`);
  }

  private visitList(node: Node): unknown {
    const n = resolve(node);
    switch (n.kind) {
      case "array":
        return this.elements(() => n.item);
      case "tuple":
        return this.tuple(n.items);
      case "basic":
        if (n.basic === "any") return this.elements(() => n);
        break;
      case "validation": {
        const value = this.visitList(n.inner);
        const error = n.rule(value, false, false);
        return error === null ? value : this.failInList(error);
      }
      case "union": {
        const value = this.untypedList();
        for (const t of n.types) if (fits(t, value)) return transform(t, value);
      }
    }
    return this.failInList(`invalid type: sequence, expected ${expecting(n)}`);
  }

  private elements(item: (i: number) => Node): unknown[] {
    const out: unknown[] = [];
    for (let i = 0; this.nextElement(i === 0); i++) {
      this.path.push(i);
      out.push(this.value(item(i)));
      this.path.pop();
    }
    return out;
  }

  private tuple(items: Node[]): unknown[] {
    const out = this.elements((i) => items[i] ?? ANY);
    if (out.length === items.length) return out;
    return this.failInList(`invalid length ${out.length}, expected a tuple of ${items.length}`);
  }

  private entries(item: Node): Record<string, unknown> {
    const keys: string[] = [];
    const values: unknown[] = [];
    for (let key = this.nextKey(true); key !== null; key = this.nextKey(false)) {
      this.path.push(key);
      this.colon();
      values.push(this.value(item));
      keys.push(key);
      this.path.pop();
    }
    return buildObject(keys, values);
  }

  private struct(node: StructNode): Record<string, unknown> {
    const slots: unknown[] = new Array(node.sorted.length).fill(ABSENT);
    for (let key = this.nextKey(true); key !== null; key = this.nextKey(false)) {
      const field = node.fields.get(key);
      this.path.push(key);
      this.colon();
      if (!field) {
        this.skip();
        this.path.pop();
        continue;
      }
      const value = this.value(field.node);
      this.path.pop();
      if (slots[field.slot] !== ABSENT) this.failInMap(`duplicate field ${key}`);
      slots[field.slot] = value;
    }
    return this.assemble(node, slots);
  }

  private assemble(node: StructNode, slots: unknown[]): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    let missing = false;
    for (const field of node.sorted) {
      const value = slots[field.slot];
      if (value !== ABSENT) out[field.name] = value;
      else if (!field.optional) missing = true;
    }
    if (missing) this.failInMap(missingFields(node, (f) => slots[f.slot] !== ABSENT));
    return out;
  }
}

export function missingFields(node: StructNode, seen: (f: StructField) => boolean): string {
  const missing = node.declared.filter((f) => !f.optional && !seen(f)).map((f) => f.name);
  return missing.length === 1 ? `missing field ${missing[0]}` : `missing fields ${andList(missing)}`;
}

export { DecodeError };
