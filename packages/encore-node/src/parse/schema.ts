import ts from "typescript";
import type { NamedType, ObjectField, Rule, Schema } from "../meta.js";
import { docOf } from "./docs.js";
import type { Problems } from "./problems.js";
import { allOf, anyOf, misfit, ruleOfType } from "./rules.js";
import { isEncoreFile, referencedSymbol } from "./wire.js";

/** The built-in types Encore's own parser knows (its `universe.ts`); others compile, but Encore refuses them in schemas. */
const UNIVERSE = new Set([
  ...["Promise", "Partial", "Required", "Readonly", "Pick", "Record", "Exclude", "Extract", "Omit", "NonNullable"],
  ...["Date", "Array"],
]);

const OBJECTS = ts.TypeFlags.Object | ts.TypeFlags.Intersection;
const NO_TEMPLATES = "Template literal types are not supported in Encore's schemas; use string.";
const NO_UNDEFINED = '"undefined" is only possible as a field\'s own type; write null or make the field optional.';

/** A property with its type freed from `undefined`, and the node it was written as where that node means the same type. */
export interface Property {
  name: string;
  optional: boolean;
  parts: ts.Type[];
  node: ts.TypeNode | undefined;
  /** As written, even where a generic's instantiation gives it another meaning. */
  written: ts.TypeNode | undefined;
  declaration: ts.Node;
  doc: string;
}

/** Turns the checker's types into schemas, and collects the named ones they refer to. */
export class SchemaBuilder {
  readonly types: Record<string, NamedType> = {};
  /** A type came from a package that was not loaded: the parse has to be repeated with packages. */
  needsPackages = false;
  private readonly names = new Map<ts.Type, string>();
  private readonly checkedNodes = new Set<ts.Node>();

  constructor(
    readonly checker: ts.TypeChecker,
    private readonly program: ts.Program,
    private readonly packages: boolean,
    readonly problems: Problems,
  ) {}

  /** The schema of `type`; `node` is how it was written, if known, and gives unions their order; problems are told about `at`. */
  of(type: ts.Type, node: ts.TypeNode | undefined, at: ts.Node): Schema {
    const name = this.nameOf(type);
    if (name === null) return this.inline(type, node, at);
    if (!this.types[name]) {
      const declaration = (type.aliasSymbol ?? type.symbol).declarations?.[0];
      const entry: NamedType = { schema: { kind: "any" }, doc: declaration ? docOf(declaration) : "" };
      this.types[name] = entry;
      const own = declaration && ts.isTypeAliasDeclaration(declaration) ? declaration.type : undefined;
      if (declaration && !this.isForeign(declaration)) this.checkNode(own ?? declaration);
      const same = own && this.checker.getTypeFromTypeNode(own) === type ? own : undefined;
      entry.schema = this.inline(type, same, declaration && !this.isForeign(declaration) ? declaration : at);
    }
    return { kind: "ref", name };
  }

  ofProperty(property: Property): Schema {
    const at = property.declaration;
    if (property.written) this.checkNode(property.written);
    const [only, ...more] = property.parts;
    if (!only) {
      this.problems.at(at, `The field "${property.name}" is always undefined; give it a type.`);
      return { kind: "any" };
    }
    return more.length === 0 ? this.of(only, property.node, at) : this.union(property.parts, property.node, at);
  }

  /** The properties of an object type in the order they are declared. */
  properties(type: ts.Type, at: ts.Node): Property[] {
    return this.checker
      .getPropertiesOfType(type)
      .filter((symbol) => !symbol.name.startsWith("__@"))
      .map((symbol) => this.property(symbol, at));
  }

  private property(symbol: ts.Symbol, at: ts.Node): Property {
    const declared = symbol.declarations?.[0];
    const declaration = declared && !this.isForeign(declared) ? declared : at;
    const written =
      declared && (ts.isPropertySignature(declared) || ts.isPropertyDeclaration(declared)) ? declared.type : undefined;
    const type = this.checker.getTypeOfSymbol(symbol);
    const parts = partsOf(type).filter((part) => !(part.flags & ts.TypeFlags.Undefined));
    const optional = Boolean(symbol.flags & ts.SymbolFlags.Optional) || parts.length < partsOf(type).length;
    const base = { name: symbol.name, optional, written, declaration, doc: declared ? docOf(declared) : "" };
    const nodeType = written && this.checker.getTypeFromTypeNode(written);
    if (!nodeType) return { ...base, parts: optional ? parts : [type], node: undefined };
    const nodeParts = partsOf(nodeType).filter((part) => !(part.flags & ts.TypeFlags.Undefined));
    const same = nodeParts.length === parts.length && nodeParts.every((part) => parts.includes(part));
    if (!same) return { ...base, parts: optional ? parts : [type], node: undefined };
    const whole = nodeParts.length === partsOf(nodeType).length;
    return { ...base, parts: whole ? [nodeType] : parts, node: written };
  }

  private inline(type: ts.Type, node: ts.TypeNode | undefined, at: ts.Node): Schema {
    const { flags } = type;
    if (flags & ts.TypeFlags.Any) return this.any(type, at);
    if (flags & ts.TypeFlags.Unknown) return { kind: "any" };
    if (flags & ts.TypeFlags.String) return { kind: "string" };
    if (flags & ts.TypeFlags.Number) return { kind: "number" };
    if (flags & ts.TypeFlags.Boolean) return { kind: "boolean" };
    if (flags & ts.TypeFlags.BigInt) return { kind: "bigint" };
    if (flags & ts.TypeFlags.Null) return { kind: "null" };
    if (type.isStringLiteral() || type.isNumberLiteral()) return { kind: "literal", value: type.value };
    if (flags & ts.TypeFlags.BooleanLiteral)
      return { kind: "literal", value: this.checker.typeToString(type) === "true" };
    if (type.isUnion()) return this.union(type.types, node, at);
    if (type.isIntersection()) return this.intersection(type, node, at);
    if (flags & ts.TypeFlags.Object) return this.object(type as ts.ObjectType, node, at);
    if (flags & ts.TypeFlags.TemplateLiteral) this.problems.at(at, NO_TEMPLATES);
    else if (flags & ts.TypeFlags.Undefined) this.problems.at(at, NO_UNDEFINED);
    else return this.unsupported(type, at, "is not supported in Encore's schemas");
    return { kind: "any" };
  }

  private any(type: ts.Type, at: ts.Node): Schema {
    const { intrinsicName } = type as ts.Type & { intrinsicName?: string };
    if (intrinsicName === "any") return { kind: "any" };
    if (!this.packages) this.needsPackages = true;
    else this.problems.at(at, "A type used here cannot be resolved; check its import.");
    return { kind: "any" };
  }

  private union(types: ts.Type[], node: ts.TypeNode | undefined, at: ts.Node): Schema {
    const rest = new Set(types);
    const variants: Schema[] = [];
    // As written first: that gives the order, and keeps the names of unions and enums that the checker has flattened.
    const members = unionMembers(node);
    for (const member of members.length > 1 ? members : []) {
      const parts = partsOf(this.checker.getTypeFromTypeNode(member));
      if (parts.length === 0 || !parts.every((part) => rest.has(part))) continue;
      for (const part of parts) rest.delete(part);
      variants.push(this.of(this.checker.getTypeFromTypeNode(member), member, at));
    }
    const booleans = [...rest].filter((part) => part.flags & ts.TypeFlags.BooleanLiteral);
    if (booleans.length === 2) {
      for (const part of booleans) rest.delete(part);
      variants.push({ kind: "boolean" });
    }
    for (const part of rest) variants.push(this.of(part, undefined, at));
    return mergeVariants(variants);
  }

  private intersection(type: ts.IntersectionType, node: ts.TypeNode | undefined, at: ts.Node): Schema {
    const rules: Rule[] = [];
    const bases: ts.Type[] = [];
    for (const part of type.types) {
      const rule = ruleOfType(part, this.checker);
      if (rule) rules.push(rule);
      else if (!isEmptyObject(part)) bases.push(part);
    }
    const [base, ...more] = bases;
    if (!base) return this.unsupported(type, at, "is a validation without a type; attach it to one with '&'");
    if (rules.length === 0 && more.length === 0) return this.inline(base, node, at);
    if (rules.length === 0 || more.length > 0) {
      if (bases.every((part) => part.flags & ts.TypeFlags.Object) && rules.length === 0)
        return { kind: "object", fields: this.objectFields(type, at) };
      return this.unsupported(type, at, "joins types that have no common schema");
    }
    const inner = node && ts.isIntersectionTypeNode(node) ? node.types[0] : undefined;
    const schema = this.inline(base, inner, at);
    const rule = allOf([...(schema.rules ? [schema.rules] : []), ...rules]);
    const wrong = rule && misfit(rule, schema.kind);
    if (wrong) this.problems.at(at, `The validation ${wrong} cannot be applied to ${this.checker.typeToString(base)}.`);
    return rule ? { ...schema, rules: rule } : schema;
  }

  private object(type: ts.ObjectType, node: ts.TypeNode | undefined, at: ts.Node): Schema {
    if (ruleOfType(type, this.checker))
      return this.unsupported(type, at, "is a validation without a type; attach it to one with '&'");
    if (this.checker.isTupleType(type))
      return this.unsupported(type, at, "is a tuple, which Encore's schemas do not support; use an object or an array");
    if (this.checker.isArrayType(type)) {
      const [item] = this.checker.getTypeArguments(type as ts.TypeReference);
      const itemNode = arrayItemNode(node);
      return item ? { kind: "array", items: this.of(item, itemNode, at) } : { kind: "array", items: { kind: "any" } };
    }
    const declaration = type.symbol?.declarations?.[0];
    if (declaration && this.program.isSourceFileDefaultLibrary(declaration.getSourceFile())) {
      if (type.symbol.name === "Date") return { kind: "date" };
      if (!isMapped(type)) return this.unsupported(type, at, "is a built-in type without a schema in Encore");
    }
    if (declaration && type.symbol.name === "Decimal" && isEncoreFile(declaration.getSourceFile(), "types"))
      return { kind: "decimal" };
    if (type.symbol && type.symbol.flags & ts.SymbolFlags.Class)
      return this.unsupported(type, at, "is a class; use an interface");
    if (type.getCallSignatures().length > 0 || type.getConstructSignatures().length > 0)
      return this.unsupported(type, at, "is a function, which cannot be sent");
    const index = type.getStringIndexType() ?? type.getNumberIndexType();
    if (index) {
      if (this.checker.getPropertiesOfType(type).length > 0)
        return this.unsupported(type, at, "has an index signature beside named fields");
      return { kind: "record", value: this.of(index, recordValueNode(node), at) };
    }
    return { kind: "object", fields: this.objectFields(type, at) };
  }

  private objectFields(type: ts.Type, at: ts.Node): ObjectField[] {
    return this.properties(type, at).map((property) => ({
      name: property.name,
      optional: property.optional,
      schema: this.ofProperty(property),
      doc: property.doc,
    }));
  }

  private unsupported(type: ts.Type, at: ts.Node, why: string): Schema {
    this.problems.at(at, `The type ${this.checker.typeToString(type)} ${why}.`);
    return { kind: "any" };
  }

  /** Refuses what compiles but what Encore's own parser cannot read: other built-in types, template literals, `import("…")` types. */
  checkNode(node: ts.Node): void {
    if (this.checkedNodes.has(node)) return;
    this.checkedNodes.add(node);
    const visit = (inner: ts.Node): void => {
      if (ts.isTypeReferenceNode(inner)) this.checkReference(inner.typeName);
      else if (ts.isTemplateLiteralTypeNode(inner)) this.problems.at(inner, NO_TEMPLATES);
      else if (ts.isImportTypeNode(inner))
        this.problems.at(inner, 'import("…") types are not supported in Encore\'s schemas; import the type by name.');
      ts.forEachChild(inner, visit);
    };
    visit(node);
  }

  private checkReference(name: ts.EntityName): void {
    const symbol = referencedSymbol(name, this.checker);
    const declaration = symbol?.declarations?.[0];
    if (!symbol || !declaration || UNIVERSE.has(symbol.name)) return;
    if (this.program.isSourceFileDefaultLibrary(declaration.getSourceFile()))
      this.problems.at(
        name,
        `The built-in type ${symbol.name} is not known to Encore's schemas; it knows ${[...UNIVERSE].join(", ")}.`,
      );
  }

  /** The name a type is referred to by: interfaces, aliases and enums of the app have one, once for each set of type arguments. */
  private nameOf(type: ts.Type): string | null {
    const known = this.names.get(type);
    if (known) return known;
    const base = this.baseName(type);
    if (!base) return null;
    const file = base.declaration.getSourceFile().fileName.split("/");
    const label = [base.symbol.name, ...base.args.map((arg) => this.argumentName(arg))].join("_");
    let name = label;
    if (this.isTaken(name)) name = `${pascal(file.at(-2) ?? "")}${label}`;
    for (let count = 2; this.isTaken(name); count++) name = `${label}${count}`;
    this.names.set(type, name);
    return name;
  }

  private baseName(type: ts.Type): { symbol: ts.Symbol; declaration: ts.Declaration; args: readonly ts.Type[] } | null {
    const alias = type.aliasSymbol;
    const aliasDeclaration = alias?.declarations?.[0];
    if (alias && aliasDeclaration && !this.isBuiltIn(aliasDeclaration))
      return { symbol: alias, declaration: aliasDeclaration, args: type.aliasTypeArguments ?? [] };
    const { symbol } = type;
    const declaration = symbol?.declarations?.[0];
    if (!declaration || this.isBuiltIn(declaration)) return null;
    if (symbol.flags & ts.SymbolFlags.Enum && type.isUnion()) return { symbol, declaration, args: [] };
    if (!(symbol.flags & ts.SymbolFlags.Interface) || !(type.flags & ts.TypeFlags.Object)) return null;
    const target = (type as ts.TypeReference).target as ts.InterfaceType | undefined;
    const count = target?.typeParameters?.length ?? 0;
    const args = count > 0 ? this.checker.getTypeArguments(type as ts.TypeReference).slice(0, count) : [];
    return { symbol, declaration, args };
  }

  private argumentName(type: ts.Type): string {
    const unnamed = type.flags & OBJECTS && !this.checker.isArrayType(type) ? "Object" : undefined;
    return this.nameOf(type) ?? unnamed ?? this.checker.typeToString(type).replace(/[^A-Za-z0-9]+/g, "");
  }

  private isTaken(name: string): boolean {
    return [...this.names.values()].includes(name);
  }

  private isBuiltIn(declaration: ts.Declaration): boolean {
    const file = declaration.getSourceFile();
    return this.program.isSourceFileDefaultLibrary(file) || isEncoreFile(file);
  }

  /** Declared outside the app: problems are told about the place of use instead. */
  private isForeign(declaration: ts.Node): boolean {
    return declaration.getSourceFile().fileName.includes("/node_modules/");
  }
}

function partsOf(type: ts.Type): ts.Type[] {
  if (type.flags & ts.TypeFlags.Boolean && !type.isUnion()) return [type];
  return type.isUnion() ? type.types : [type];
}

function unionMembers(node: ts.TypeNode | undefined): ts.TypeNode[] {
  if (!node) return [];
  if (ts.isParenthesizedTypeNode(node)) return unionMembers(node.type);
  return ts.isUnionTypeNode(node) ? node.types.flatMap((part) => unionMembers(part)) : [node];
}

/** Joins variants that are one type with different rules (`string & (A | B)` reaches us as two), drops repeats, and takes in unions. */
function mergeVariants(variants: Schema[]): Schema {
  const groups = new Map<string, { schema: Schema; rules: (Rule | undefined)[] }>();
  const flat = variants.flatMap((variant) => (variant.kind === "union" ? variant.variants : [variant]));
  for (const { rules, ...schema } of flat) {
    const key = JSON.stringify(schema);
    const group = groups.get(key) ?? { schema, rules: [] as (Rule | undefined)[] };
    group.rules.push(rules);
    groups.set(key, group);
  }
  const merged = [...groups.values()].map(({ schema, rules }): Schema => {
    const all = rules.filter((rule) => rule !== undefined);
    const rule = all.length === rules.length ? anyOf(all) : undefined;
    return rule ? { ...schema, rules: rule } : schema;
  });
  const [only, ...more] = merged;
  return only && more.length === 0 ? only : { kind: "union", variants: merged };
}

function isEmptyObject(type: ts.Type): boolean {
  return (
    Boolean(type.flags & ts.TypeFlags.Object) &&
    type.getProperties().length === 0 &&
    !type.symbol?.declarations?.some(ts.isInterfaceDeclaration) &&
    type.getCallSignatures().length === 0 &&
    !type.getStringIndexType()
  );
}

function isMapped(type: ts.ObjectType): boolean {
  return Boolean(type.objectFlags & ts.ObjectFlags.Mapped);
}

function arrayItemNode(node: ts.TypeNode | undefined): ts.TypeNode | undefined {
  if (!node) return undefined;
  if (ts.isParenthesizedTypeNode(node)) return arrayItemNode(node.type);
  if (ts.isArrayTypeNode(node)) return node.elementType;
  if (ts.isTypeOperatorNode(node)) return arrayItemNode(node.type);
  if (ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName) && node.typeName.text === "Array")
    return node.typeArguments?.[0];
  return undefined;
}

function recordValueNode(node: ts.TypeNode | undefined): ts.TypeNode | undefined {
  if (node && ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName) && node.typeName.text === "Record")
    return node.typeArguments?.[1];
  return undefined;
}

function pascal(text: string): string {
  return text.replace(/(^|[^A-Za-z0-9]+)([A-Za-z0-9]?)/g, (_, __, letter: string) => letter.toUpperCase());
}
