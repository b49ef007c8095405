import ts from "typescript";
import type { EncoreName, resolveCallee } from "./imports.js";
import type { Problems } from "./problems.js";

export type UseKind =
  | "endpoint"
  | "service"
  | "gateway"
  | "authHandler"
  | "database"
  | "databaseNamed"
  | "secret"
  | "clients";

/** One place where a file makes use of an Encore resource. */
export interface Use {
  what: UseKind;
  /** The call or `new` expression. */
  node: ts.Node;
  /** Members behind the name, as `["streamOut"]` of `api.streamOut`. */
  members: string[];
  /** The variable it is bound to. */
  binding: { name: string; node: ts.Identifier; exported: boolean } | null;
  statement: ts.Node;
  topLevel: boolean;
}

const CALLS: Record<string, UseKind> = {
  "encore.dev/api api": "endpoint",
  "encore.dev/auth authHandler": "authHandler",
  "encore.dev/config secret": "secret",
};
const CONSTRUCTED: Record<string, UseKind> = {
  "encore.dev/service Service": "service",
  "encore.dev/api Gateway": "gateway",
  "encore.dev/storage/sqldb SQLDatabase": "database",
};
/** What other modules of `encore.dev` offer and this host does not have, with what to use instead. */
const UNSUPPORTED: Record<string, string> = {
  "encore.dev/pubsub":
    "Pub/Sub (Topic, Subscription) is not supported by this host; enqueue a job in the database instead",
  "encore.dev/cron": "CronJob is not supported by this host; schedule a job in the database instead",
  "encore.dev/storage/objects": "Object storage (Bucket) is not supported by this host",
  "encore.dev/storage/cache": "The cache (CacheCluster) is not supported by this host",
  "encore.dev/metrics": "Metrics are not supported by this host",
};

/** Finds every use in one file, at any depth. */
export function findUses(
  file: ts.SourceFile,
  names: Map<string, EncoreName>,
  resolve: typeof resolveCallee,
  problems: Problems,
): Use[] {
  const uses: Use[] = [];
  if (names.size === 0) return uses;
  const exported = exportedNames(file);
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
      const callee = resolve(node.expression, names);
      const what = callee && kindOf(node, callee, problems);
      if (callee && what) uses.push({ what, node, members: callee.members, ...placeOf(node, exported) });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return uses;
}

function kindOf(
  node: ts.CallExpression | ts.NewExpression,
  callee: EncoreName & { members: string[] },
  problems: Problems,
): UseKind | null {
  const key = `${callee.module} ${callee.name}`;
  const why = UNSUPPORTED[callee.module];
  if (why && (ts.isNewExpression(node) || callee.members.at(-1) === "named")) {
    problems.at(node, `${why}.`);
    return null;
  }
  if (callee.module === "~encore/clients") return "clients";
  if (ts.isNewExpression(node)) return callee.members.length === 0 ? (CONSTRUCTED[key] ?? null) : null;
  if (key === "encore.dev/storage/sqldb SQLDatabase") return callee.members[0] === "named" ? "databaseNamed" : null;
  const what = CALLS[key] ?? null;
  return what === "endpoint" || callee.members.length === 0 ? what : null;
}

/** Names exported by `export { a, b }`, beside those exported where they are declared. */
function exportedNames(file: ts.SourceFile): Set<string> {
  const names = new Set<string>();
  for (const statement of file.statements)
    if (
      ts.isExportDeclaration(statement) &&
      !statement.moduleSpecifier &&
      statement.exportClause &&
      ts.isNamedExports(statement.exportClause)
    )
      for (const element of statement.exportClause.elements)
        if (!element.propertyName || element.propertyName.text === element.name.text) names.add(element.name.text);
  return names;
}

function placeOf(node: ts.Node, exported: Set<string>): Pick<Use, "binding" | "statement" | "topLevel"> {
  let binding: Use["binding"] = null;
  let statement: ts.Node = node;
  let topLevel = true;
  for (let at: ts.Node = node; at.parent; at = at.parent) {
    if (ts.isFunctionLike(at.parent) || ts.isClassLike(at.parent)) topLevel = false;
    if (!binding && topLevel && ts.isVariableDeclaration(at.parent) && ts.isIdentifier(at.parent.name))
      binding = { name: at.parent.name.text, node: at.parent.name, exported: false };
    if (ts.isSourceFile(at.parent)) statement = at;
  }
  if (binding) {
    const modifiers = ts.isVariableStatement(statement) ? statement.modifiers : undefined;
    binding.exported =
      (modifiers?.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword) ?? false) ||
      exported.has(binding.name);
  }
  return { binding, statement, topLevel };
}
