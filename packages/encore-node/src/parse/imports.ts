import ts from "typescript";

/** A name of `encore.dev` as a file uses it: `{ module: "encore.dev/api", name: "api" }`. */
export interface EncoreName {
  module: string;
  name: string;
}

/** The names a file imports (as values) from `encore.dev` and `~encore`, by their local name; namespaces have the name `*`. */
export function encoreImports(file: ts.SourceFile): Map<string, EncoreName> {
  const names = new Map<string, EncoreName>();
  for (const statement of file.statements) {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue;
    const module = statement.moduleSpecifier.text;
    const clause = statement.importClause;
    if (!/^(encore\.dev|~encore)(\/|$)/.test(module) || !clause || clause.isTypeOnly) continue;
    const bindings = clause.namedBindings;
    if (!bindings) continue;
    if (ts.isNamespaceImport(bindings)) names.set(bindings.name.text, { module, name: "*" });
    else
      for (const element of bindings.elements)
        if (!element.isTypeOnly)
          names.set(element.name.text, { module, name: (element.propertyName ?? element.name).text });
  }
  return names;
}

/** What `expression` (a callee) means: the Encore name it starts with and the members read from it, `api.raw` as `["raw"]`. */
export function resolveCallee(
  expression: ts.Expression,
  names: Map<string, EncoreName>,
): (EncoreName & { members: string[] }) | null {
  const members: string[] = [];
  let node = expression;
  while (ts.isPropertyAccessExpression(node)) {
    members.unshift(node.name.text);
    node = node.expression;
  }
  if (!ts.isIdentifier(node)) return null;
  const found = names.get(node.text);
  if (!found) return null;
  if (found.name !== "*") return { ...found, members };
  const [name, ...rest] = members;
  return name ? { module: found.module, name, members: rest } : null;
}
