import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const BACKEND = fileURLToPath(new URL("../../", import.meta.url));
const NOT_OURS = new Set(["__tests__", "node_modules", "encore.gen", ".encore"]);
const METHODS = new Set(["query", "queryRow", "queryAll", "exec"]);

export interface SourceStatement {
  /** `file:line`. */
  where: string;
  /** As Encore sends it: parameters are $1, $2, … in the order they stand. */
  sql: string;
}

/** Every statement that stands in the application's source as a tagged template. Found by reading it, so that nobody has to list them. */
export function statementsInSources(): SourceStatement[] {
  return sourceFiles(BACKEND).flatMap((file) => {
    const text = readFileSync(file, "utf8");
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    const found: SourceStatement[] = [];
    const visit = (node: ts.Node): void => {
      if (
        ts.isTaggedTemplateExpression(node) &&
        ts.isPropertyAccessExpression(node.tag) &&
        METHODS.has(node.tag.name.text)
      ) {
        const { line } = source.getLineAndCharacterOfPosition(node.getStart());
        found.push({ where: `${relative(BACKEND, file)}:${line + 1}`, sql: sqlOf(node.template) });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
    return found;
  });
}

function sqlOf(template: ts.TemplateLiteral): string {
  if (ts.isNoSubstitutionTemplateLiteral(template)) return template.text;
  return template.templateSpans.reduce(
    (sql, { literal }, index) => `${sql}$${index + 1}${literal.text}`,
    template.head.text,
  );
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : sourceFiles(join(folder, entry.name));
    return entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts") ? [join(folder, entry.name)] : [];
  });
}
