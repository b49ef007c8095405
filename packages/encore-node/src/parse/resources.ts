import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import type { DatabaseMeta } from "../meta.js";
import { literalOf, objectProperties, unwrap } from "./literals.js";
import { type Problems, relativePath } from "./problems.js";

const MIGRATION_FILE = /^(\d+)_([^.]+)\.(up|down)\.sql$/;

/** The first argument as a name, which has to be a string literal. */
export function resourceName(
  node: ts.NewExpression | ts.CallExpression,
  what: string,
  problems: Problems,
): string | null {
  const [first] = node.arguments ?? [];
  const name = first && literalOf(first);
  if (typeof name === "string") return name;
  problems.at(node, `The name of ${what} must be a string literal, because Encore reads it without running the code.`);
  return null;
}

/** `new SQLDatabase("name", { migrations: "./migrations" })`. */
export function parseDatabase(node: ts.NewExpression, root: string, problems: Problems): DatabaseMeta | null {
  const name = resourceName(node, "a SQLDatabase", problems);
  if (name === null) return null;
  const config = node.arguments?.[1];
  const migrations =
    config && objectProperties(config, `The configuration of the database "${name}"`, problems).get("migrations");
  return {
    name,
    migrations: migrations ? migrationsFolder(migrations, name, root, problems) : null,
    source: problems.ref(node),
  };
}

function migrationsFolder(node: ts.Expression, database: string, root: string, problems: Problems): string | null {
  let value = literalOf(node);
  if (ts.isObjectLiteralExpression(unwrap(node))) {
    const properties = objectProperties(node, `The migrations of the database "${database}"`, problems);
    const written = properties.get("path");
    value = written && literalOf(written);
    if (properties.has("source"))
      problems.at(
        node,
        `The migrations of "${database}" name a source (Prisma or Drizzle), which this host does not support; use plain SQL files.`,
      );
  }
  if (typeof value !== "string" || path.isAbsolute(value)) {
    problems.at(
      node,
      `The migrations folder of the database "${database}" must be a relative path as a string literal.`,
    );
    return null;
  }
  const folder = path.resolve(path.dirname(node.getSourceFile().fileName), value);
  if (!existsSync(folder)) {
    problems.at(node, `The migrations folder "${value}" of the database "${database}" does not exist.`);
    return null;
  }
  const numbers = new Map<number, string>();
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".sql")) continue;
    const [, number, , direction] = MIGRATION_FILE.exec(file) ?? [];
    if (!number) problems.at(node, `The migration "${file}" of "${database}" must be called <number>_<name>.up.sql.`);
    else if (direction === "up") {
      const same = numbers.get(Number(number));
      if (same) problems.at(node, `The migrations "${same}" and "${file}" of "${database}" have the same number.`);
      numbers.set(Number(number), file);
    }
  }
  return relativePath(root, folder);
}
