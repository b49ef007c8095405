import ts from "typescript";
import type { PathSegment, RequestField, ResponseField, Schema } from "../meta.js";
import { allOf, ruleOfType } from "./rules.js";
import type { Property, SchemaBuilder } from "./schema.js";
import { type WireSpec, wireSpecOf } from "./wire.js";

/** A type as an endpoint names it: resolved, and as written. */
export interface NamedUse {
  type: ts.Type;
  node: ts.TypeNode;
}

/**
 * The fields of a request (or handshake, or auth parameters) and their places. Path parameters are taken out by name and give the path its
 * value types, in place.
 */
export function requestFields(use: NamedUse, path: PathSegment[], builder: SchemaBuilder): RequestField[] | null {
  const properties = topLevel(use, "request", builder);
  if (!properties) return null;
  const fields = properties.map((property): RequestField => {
    const base = { name: property.name, optional: property.optional, doc: property.doc };
    const segment = path.find((part) => part.kind !== "literal" && part.name === property.name);
    if (segment && segment.kind !== "literal")
      return { ...base, schema: pathSchema(property, segment, builder), place: { in: "path", name: property.name } };
    const spec = wireOf(property, builder);
    if (!spec) return { ...base, schema: builder.ofProperty(property), place: { in: "auto", name: property.name } };
    if (spec.kind === "status") {
      builder.problems.at(
        property.declaration,
        `The field "${property.name}" is an HttpStatus, which only responses have.`,
      );
      return { ...base, schema: { kind: "number" }, place: { in: "auto", name: property.name } };
    }
    return {
      ...base,
      schema: wireSchema(property, spec, builder),
      place: { in: spec.kind, name: spec.name ?? property.name },
    };
  });
  return fields.length > 0 ? fields : null;
}

/** The fields of a response and their places: body, header, cookie or the status. */
export function responseFields(use: NamedUse, builder: SchemaBuilder): ResponseField[] | null {
  const properties = topLevel(use, "response", builder);
  if (!properties) return null;
  let status: Property | null = null;
  const fields = properties.map((property): ResponseField => {
    const base = { name: property.name, optional: property.optional, doc: property.doc };
    const spec = wireOf(property, builder);
    if (!spec || spec.kind === "query")
      return { ...base, schema: builder.ofProperty(property), place: { in: "body", name: property.name } };
    if (spec.kind === "status") {
      if (status) builder.problems.at(property.declaration, "A response type can hold one HttpStatus field only.");
      status = property;
      return { ...base, schema: { kind: "number" }, place: { in: "status" } };
    }
    return {
      ...base,
      schema: wireSchema(property, spec, builder),
      place: { in: spec.kind, name: spec.name ?? property.name },
    };
  });
  return fields.length > 0 ? fields : null;
}

/** One message of a stream, or AuthData: an object type, as a whole. */
export function messageSchema(use: NamedUse, builder: SchemaBuilder): Schema | null {
  return topLevel(use, "message", builder) ? builder.of(use.type, use.node, use.node) : null;
}

/** The properties of a type that has to be an interface; null for void, and after a problem. */
function topLevel({ type, node }: NamedUse, role: string, builder: SchemaBuilder): Property[] | null {
  builder.checkNode(node);
  if (type.flags & (ts.TypeFlags.Void | ts.TypeFlags.Undefined)) return null;
  const refuse = (): null => {
    const text = builder.checker.typeToString(type);
    builder.problems.at(
      node,
      `The ${role} type ${text} must be an interface (or void): Encore takes no other type here.`,
    );
    return null;
  };
  if (isUnresolved(type)) {
    builder.of(type, node, node);
    return null;
  }
  const object = type.isIntersection() || Boolean(type.flags & ts.TypeFlags.Object);
  if (!object || builder.checker.isArrayType(type) || builder.checker.isTupleType(type)) return refuse();
  if (type.getCallSignatures().length > 0 || type.symbol?.flags & ts.SymbolFlags.Class) return refuse();
  if (type.getStringIndexType() || type.getNumberIndexType()) {
    builder.problems.at(
      node,
      `The ${role} type ${builder.checker.typeToString(type)} has an index signature; wrap it in a named field.`,
    );
    return null;
  }
  return builder.properties(type, node);
}

function isUnresolved(type: ts.Type): boolean {
  return (
    Boolean(type.flags & ts.TypeFlags.Any) && (type as ts.Type & { intrinsicName?: string }).intrinsicName !== "any"
  );
}

function wireOf(property: Property, builder: SchemaBuilder): WireSpec | null {
  const spec = wireSpecOf(property.written, builder.checker);
  if (!spec?.viaAlias) return spec;
  builder.problems.at(
    property.declaration,
    `The field "${property.name}" hides its place behind the alias "${spec.viaAlias}", which Encore does not see; write Header<>, Query<>, Cookie<> or HttpStatus directly.`,
  );
  return null;
}

/** The value that travels: for a cookie not the object with its options, but its `value`. */
function wireSchema(property: Property, spec: WireSpec, builder: SchemaBuilder): Schema {
  const written = spec.value && builder.checker.getTypeFromTypeNode(spec.value);
  if (spec.kind !== "cookie") {
    if (written?.isUnion() && spec.value) return builder.of(written, spec.value, property.declaration);
    return builder.ofProperty(property);
  }
  const value: Schema =
    written && spec.value ? builder.of(written, spec.value, property.declaration) : { kind: "string" };
  const parts = property.parts.flatMap((part) => (part.isIntersection() ? part.types : []));
  const rule = allOf(parts.map((part) => ruleOfType(part, builder.checker)).filter((found) => found !== null));
  return rule ? { ...value, rules: rule } : value;
}

function pathSchema(property: Property, segment: PathSegment, builder: SchemaBuilder): Schema {
  const schema = builder.ofProperty(property);
  const alias = property.written && ts.isTypeReferenceNode(property.written);
  const fits =
    schema.kind === "string" || schema.kind === "number" || schema.kind === "boolean" || schema.kind === "bigint";
  if (!fits || alias)
    builder.problems.at(
      property.declaration,
      `The path parameter "${property.name}" must be written as string, number, boolean or bigint (validation may follow with '&'), not by another name or type.`,
    );
  else if (segment.kind === "param")
    segment.type = schema.kind === "string" || schema.kind === "boolean" ? schema.kind : "number";
  return schema;
}
