import type { NamedType, ObjectField, Rule, Schema } from "../../meta.js";
import { parseDoc } from "./doc-comment.js";

/** A JSON Schema (2020-12), as OpenAPI 3.1 holds them. */
export type JsonSchema = Record<string, unknown>;

/** Where named types are referred to. */
export const SCHEMAS = "#/components/schemas/";

/** What travels as JSON for a schema; named types become references. */
export function jsonSchema(schema: Schema): JsonSchema {
  const base = withoutRules(schema);
  return schema.rules ? withRules(base, schema.rules, schema.kind) : base;
}

export function namedSchema({ schema, doc }: NamedType): JsonSchema {
  return described(jsonSchema(schema), doc);
}

/** Adds the text of a doc comment, without its tags. */
export function described(schema: JsonSchema, doc: string): JsonSchema {
  const { description } = parseDoc(doc);
  return description ? { ...schema, description } : schema;
}

function withoutRules(schema: Schema): JsonSchema {
  switch (schema.kind) {
    case "any":
      return {};
    case "string":
    case "number":
    case "boolean":
    case "null":
      return { type: schema.kind };
    case "bigint":
      return { type: ["integer", "string"], pattern: "^-?[0-9]+$" };
    case "date":
      return { type: "string", format: "date-time" };
    case "decimal":
      return { type: "string", format: "decimal" };
    case "literal":
      return { const: schema.value };
    case "array":
      return { type: "array", items: jsonSchema(schema.items) };
    case "tuple":
      return { type: "array", prefixItems: schema.items.map(jsonSchema), items: false };
    case "record":
      return { type: "object", additionalProperties: jsonSchema(schema.value) };
    case "object":
      return objectSchema(schema.fields);
    case "ref":
      return { $ref: `${SCHEMAS}${schema.name}` };
    case "union":
      return unionSchema(schema.variants);
  }
}

export function objectSchema(fields: ObjectField[]): JsonSchema {
  const required = fields.filter((field) => !field.optional).map((field) => field.name);
  return {
    type: "object",
    properties: Object.fromEntries(fields.map((field) => [field.name, described(jsonSchema(field.schema), field.doc)])),
    ...(required.length > 0 ? { required } : {}),
  };
}

/** Literals as one `enum`, `X | null` of a plain type as two types, else `anyOf`. */
function unionSchema(variants: Schema[]): JsonSchema {
  const literals = variants.filter((variant) => variant.kind === "literal");
  const nullable = variants.some((variant) => variant.kind === "null");
  if (literals.length + (nullable ? 1 : 0) === variants.length) {
    const values = literals.map((literal) => literal.value);
    return { enum: nullable ? [...values, null] : values };
  }
  const rest = variants.filter((variant) => variant.kind !== "null");
  const [only, ...more] = rest;
  if (nullable && only && more.length === 0) {
    const schema = jsonSchema(only);
    if (typeof schema.type === "string") return { ...schema, type: [schema.type, "null"] };
  }
  return { anyOf: variants.map(jsonSchema) };
}

function withRules(base: JsonSchema, rule: Rule, kind: Schema["kind"]): JsonSchema {
  if (rule.op === "or") return { ...base, anyOf: rule.rules.map((inner) => constraint(inner, kind)) };
  if (rule.op !== "and") return { ...base, ...constraint(rule, kind) };
  const parts = rule.rules.map((inner) =>
    inner.op === "or" ? { anyOf: inner.rules.map((each) => constraint(each, kind)) } : constraint(inner, kind),
  );
  // Two of one keyword (two patterns, say) cannot share an object.
  const merged: JsonSchema = { ...base };
  const clashing: JsonSchema[] = [];
  for (const part of parts)
    if (Object.keys(part).some((key) => key in merged)) clashing.push(part);
    else Object.assign(merged, part);
  return clashing.length > 0 ? { ...merged, allOf: clashing } : merged;
}

function constraint(rule: Rule, kind: Schema["kind"]): JsonSchema {
  switch (rule.op) {
    case "minLen":
      return { [kind === "array" ? "minItems" : "minLength"]: rule.value };
    case "maxLen":
      return { [kind === "array" ? "maxItems" : "maxLength"]: rule.value };
    case "min":
      return { minimum: rule.value };
    case "max":
      return { maximum: rule.value };
    case "startsWith":
      return { pattern: `^${escapeRegExp(rule.value)}` };
    case "endsWith":
      return { pattern: `${escapeRegExp(rule.value)}$` };
    case "matches":
      return { pattern: rule.value };
    case "email":
      return { format: "email" };
    case "url":
      return { format: "uri" };
    case "and":
      return { allOf: rule.rules.map((inner) => constraint(inner, kind)) };
    case "or":
      return { anyOf: rule.rules.map((inner) => constraint(inner, kind)) };
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
