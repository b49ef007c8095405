import ts from "typescript";

/** `Header<>`, `Query<>`, `Cookie<>` or `HttpStatus` as written in a field's type. */
export interface WireSpec {
  kind: "header" | "query" | "cookie" | "status";
  /** The name given, as in `Header<"X-Thing">`; null: the field's own name. */
  name: string | null;
  /** The value's type, as in `Header<number, "X-Num">`; null: string (status: number). */
  value: ts.TypeNode | null;
  /** The alias it hides behind; Encore does not see such a one. */
  viaAlias?: string;
}

const KINDS: Record<string, WireSpec["kind"]> = {
  Header: "header",
  Query: "query",
  Cookie: "cookie",
  HttpStatus: "status",
};

/**
 * Reads where a field travels from how its type is written: the checker alone cannot tell, since `Header<"X">` is the same type as `string`.
 * `& MinLen<3>` and `| undefined` are looked through. An alias of one is found too, for `viaAlias`: Encore does not look behind aliases
 * here and would send the field in the body.
 */
export function wireSpecOf(node: ts.TypeNode | undefined, checker: ts.TypeChecker): WireSpec | null {
  if (!node) return null;
  if (ts.isParenthesizedTypeNode(node)) return wireSpecOf(node.type, checker);
  if (ts.isIntersectionTypeNode(node)) {
    for (const part of node.types) {
      const found = wireSpecOf(part, checker);
      if (found) return found;
    }
    return null;
  }
  if (ts.isUnionTypeNode(node)) {
    const parts = node.types.filter((part) => part.kind !== ts.SyntaxKind.UndefinedKeyword);
    return parts.length === 1 ? wireSpecOf(parts[0], checker) : null;
  }
  if (!ts.isTypeReferenceNode(node)) return null;
  const symbol = referencedSymbol(node.typeName, checker);
  const declaration = symbol?.declarations?.find(ts.isTypeAliasDeclaration);
  if (!symbol || !declaration) return null;
  const kind = KINDS[symbol.name];
  if (kind && isEncoreFile(declaration.getSourceFile(), "api")) return specOf(kind, node, checker);
  const hidden = wireSpecOf(declaration.type, checker);
  return hidden && { ...hidden, viaAlias: symbol.name };
}

function specOf(kind: WireSpec["kind"], node: ts.TypeReferenceNode, checker: ts.TypeChecker): WireSpec {
  const [first, second] = node.typeArguments ?? [];
  const literal = (argument: ts.TypeNode | undefined): string | null => {
    const type = argument && checker.getTypeFromTypeNode(argument);
    return type?.isStringLiteral() ? type.value : null;
  };
  if (kind === "status" || !first) return { kind, name: null, value: null };
  if (second) return { kind, name: literal(second), value: first };
  const name = literal(first);
  return name === null ? { kind, name: null, value: first } : { kind, name, value: null };
}

/** The declared symbol behind a type name, through imports and re-exports. */
export function referencedSymbol(name: ts.EntityName, checker: ts.TypeChecker): ts.Symbol | undefined {
  const symbol = checker.getSymbolAtLocation(name);
  return symbol && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/** Whether a file belongs to `encore.dev`, or to one of its folders (`api`, `validate`, `types`). */
export function isEncoreFile(file: ts.SourceFile, folder?: string): boolean {
  return file.fileName.includes(`/node_modules/encore.dev/${folder ? `${folder}/` : ""}`);
}
