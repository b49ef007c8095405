/**
 * Schemas as the decoder walks them: the shapes of runtimes/core/src/api/jsonschema/de.rs `Value`, compiled once at
 * start from the parser's JSON, with names resolved.
 */

import type { AppMeta, Rule, Schema } from "../../meta.js";
import { compileRule, type Validator } from "./rules.js";
import { orList, rustFloatDebug, rustString } from "./text.js";

export type Basic = "any" | "null" | "bool" | "number" | "string" | "datetime" | "decimal";

export interface StructField {
  name: string;
  optional: boolean;
  node: Node;
  /** Place among the fields by name: objects are built in that order, as Encore's BTreeMap is read. */
  slot: number;
}

export type Node =
  | { kind: "basic"; basic: Basic }
  | { kind: "literal"; type: "str" | "bool" | "int" | "float"; value: string | number | boolean }
  | { kind: "array"; item: Node }
  | { kind: "tuple"; items: Node[] }
  | { kind: "map"; item: Node }
  | { kind: "struct"; fields: Map<string, StructField>; sorted: StructField[]; declared: StructField[] }
  | { kind: "union"; types: Node[] }
  | { kind: "validation"; inner: Node; rule: Validator }
  | { kind: "ref"; name: string; target: Node | null };

export type StructNode = Extract<Node, { kind: "struct" }>;

const BASIC: Record<string, Basic> = {
  any: "any",
  null: "null",
  boolean: "bool",
  number: "number",
  bigint: "number",
  string: "string",
  date: "datetime",
  decimal: "decimal",
};

export class SchemaCompiler {
  private readonly named = new Map<string, Extract<Node, { kind: "ref" }>>();

  constructor(private readonly types: AppMeta["types"]) {}

  compile(schema: Schema): Node {
    const node = this.bare(schema);
    return withRule(node, schema.rules);
  }

  private bare(schema: Schema): Node {
    const basic = BASIC[schema.kind];
    if (basic) return { kind: "basic", basic };
    switch (schema.kind) {
      case "literal":
        return literal(schema.value);
      case "array":
        return { kind: "array", item: this.compile(schema.items) };
      case "tuple":
        return { kind: "tuple", items: schema.items.map((s) => this.compile(s)) };
      case "record":
        return { kind: "map", item: this.compile(schema.value) };
      case "object":
        return this.struct(schema.fields);
      case "union":
        return { kind: "union", types: schema.variants.map((s) => this.compile(s)) };
      case "ref":
        return this.ref(schema.name);
      default:
        throw new Error(`encore-node: unknown schema kind ${JSON.stringify(schema)}`);
    }
  }

  struct(fields: { name: string; optional: boolean; schema: Schema }[]): StructNode {
    return struct(fields.map((f) => ({ name: f.name, optional: f.optional, node: this.compile(f.schema) })));
  }

  private ref(name: string): Node {
    const known = this.named.get(name);
    if (known) return known;
    const type = this.types[name];
    if (!type) throw new Error(`encore-node: the build names the type ${name} but does not hold it`);
    const ref: Extract<Node, { kind: "ref" }> = { kind: "ref", name, target: null };
    this.named.set(name, ref);
    ref.target = this.compile(type.schema);
    return ref;
  }
}

export function struct(fields: { name: string; optional: boolean; node: Node }[]): StructNode {
  const declared = fields.map((f) => ({ ...f, slot: 0 }));
  const sorted = [...declared].sort((a, b) => (a.name < b.name ? -1 : 1));
  sorted.forEach((f, i) => {
    f.slot = i;
  });
  return { kind: "struct", fields: new Map(declared.map((f) => [f.name, f])), sorted, declared };
}

function withRule(node: Node, rules: Rule | undefined): Node {
  return rules ? { kind: "validation", inner: node, rule: compileRule(rules) } : node;
}

function literal(value: string | number | boolean): Node {
  if (typeof value === "string") return { kind: "literal", type: "str", value };
  if (typeof value === "boolean") return { kind: "literal", type: "bool", value };
  return { kind: "literal", type: Number.isInteger(value) ? "int" : "float", value };
}

export function resolve(node: Node): Exclude<Node, { kind: "ref" }> {
  let n = node;
  while (n.kind === "ref") {
    if (!n.target) throw new Error(`encore-node: the type ${n.name} refers only to itself`);
    n = n.target;
  }
  return n;
}

const BASIC_EXPECTING: Record<Basic, string> = {
  any: "any valid JSON value",
  null: "null",
  bool: "a boolean",
  number: "a number",
  string: "a string",
  datetime: "a datetime string",
  decimal: "a decimal",
};

export function literalText(node: Extract<Node, { kind: "literal" }>): string {
  if (node.type === "str") return rustString(String(node.value));
  return node.type === "float" ? rustFloatDebug(Number(node.value)) : String(node.value);
}

/** What was expected; inside a union Encore calls a map "a JSON map", elsewhere "a JSON object". */
export function expecting(node: Node, nested = false): string {
  const n = resolve(node);
  switch (n.kind) {
    case "basic":
      return BASIC_EXPECTING[n.basic];
    case "literal":
      return literalText(n);
    case "array":
    case "tuple":
      return "a JSON array";
    case "map":
      return nested ? "a JSON map" : "a JSON object";
    case "struct":
      return "a JSON object";
    case "validation":
      return expecting(n.inner, true);
    case "union":
      return orList(n.types.map((t) => expecting(t, true)));
  }
}
