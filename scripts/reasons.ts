import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** A reason that the backend's source can answer: the word itself, or a pattern where a part of it is computed. */
export interface Reason {
  reason: string | RegExp;
  /** Where the call names Encore's code, the HTTP status that follows from it; else null. */
  status: number | null;
  file: string;
}

/** HTTP statuses of Encore's error codes (runtimes/core/src/api/error.rs of encoredev/encore), by their name in `ErrCode`. */
export const STATUS: Readonly<Record<string, number>> = {
  Canceled: 499,
  Unknown: 500,
  InvalidArgument: 400,
  DeadlineExceeded: 504,
  NotFound: 404,
  AlreadyExists: 409,
  PermissionDenied: 403,
  ResourceExhausted: 429,
  FailedPrecondition: 400,
  Aborted: 409,
  OutOfRange: 400,
  Unimplemented: 501,
  Internal: 500,
  Unavailable: 503,
  DataLoss: 500,
  Unauthenticated: 401,
};

const REASON_TABLES = new Set(["KINDS", "FAREWELLS"]);
const SKIPPED_FOLDERS = new Set(["node_modules", "encore.gen", "__tests__", ".encore"]);

/** Properties beside a `reason` that is no error: why a turn was cancelled, and why agents stop handing on the word. Events tell them. */
const NO_ERROR_BESIDE = new Set(["by", "cancelled_by", "seats"]);

function isOfTheThread({ parent }: ts.PropertyAssignment): boolean {
  return parent.properties.some((property) => NO_ERROR_BESIDE.has(property.name?.getText() ?? ""));
}

/**
 * The reasons in one source file: `problem(code, reason, …)`, `invalid(reason, …)`, `notFound(noun)`, `new SourceError(reason, …)`,
 * properties `reason: "…"`, the keys of the tables `KINDS` (what can go wrong with Letta ends a turn with its kind as the reason) and
 * `FAREWELLS` (how a WebSocket ends), and those of the table `ANSWERS` (Letta's kinds as an answer, `agent_server_<kind>`).
 */
export function reasonsIn(file: string, source: string): Reason[] {
  const found: Reason[] = [];
  const add = (node: ts.Expression | undefined, status: number | null): void => {
    const reason = node && wordOf(node);
    if (reason !== undefined) found.push({ reason, status, file });
  };
  const visit = (node: ts.Node): void => {
    if ((ts.isCallExpression(node) || ts.isNewExpression(node)) && ts.isIdentifier(node.expression)) {
      const [first, second] = node.arguments ?? [];
      if (node.expression.text === "problem") add(second, first ? statusOf(first) : null);
      if (node.expression.text === "invalid") add(first, STATUS.InvalidArgument ?? null);
      if (node.expression.text === "SourceError") add(first, null);
      if (node.expression.text === "notFound" && first && ts.isStringLiteralLike(first)) {
        const reason = `${first.text.toLowerCase().replaceAll(" ", "_")}_not_found`;
        found.push({ reason, status: STATUS.NotFound ?? null, file });
      }
    }
    if (ts.isPropertyAssignment(node) && node.name.getText() === "reason" && !isOfTheThread(node))
      add(node.initializer, null);
    if (ts.isVariableDeclaration(node) && REASON_TABLES.has(node.name.getText()) && node.initializer) {
      for (const property of tableOf(node.initializer)) {
        found.push({ reason: property.name?.getText() ?? "", status: null, file });
      }
    }
    if (ts.isVariableDeclaration(node) && node.name.getText() === "ANSWERS" && node.initializer) {
      for (const property of tableOf(node.initializer)) {
        const status = ts.isPropertyAssignment(property) ? statusIn(property.initializer) : null;
        found.push({ reason: `agent_server_${property.name?.getText()}`, status, file });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true));
  return found;
}

/** All reasons of the TypeScript under `folder`, tests left out. */
export function reasonsUnder(folder: string): Reason[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) ? [] : reasonsUnder(path);
    if (!entry.name.endsWith(".ts") || entry.name.endsWith(".test.ts")) return [];
    return reasonsIn(path, readFileSync(path, "utf8"));
  });
}

/** The rows of docs/errors.md: `| \`reason\` | status | … |`. A status of "event" is of a turn that failed or a stream that broke. */
export function documentedReasons(markdown: string): { reason: string; status: string }[] {
  return [...markdown.matchAll(/^\| `([a-z_]+)` \| ([^|]+) \|/gm)].map(([, reason = "", status = ""]) => ({
    reason,
    status: status.trim(),
  }));
}

function wordOf(node: ts.Expression): string | RegExp | undefined {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return undefined;
  return new RegExp(`^${node.head.text}${node.templateSpans.map((span) => `[a-z_]+${span.literal.text}`).join("")}$`);
}

function statusOf(code: ts.Expression): number | null {
  return ts.isPropertyAccessExpression(code) && code.expression.getText() === "ErrCode"
    ? (STATUS[code.name.text] ?? null)
    : null;
}

function statusIn(answer: ts.Expression): number | null {
  const code = tableOf(answer).find((property) => property.name?.getText() === "code");
  return code && ts.isPropertyAssignment(code) ? statusOf(code.initializer) : null;
}

function tableOf(node: ts.Expression): readonly ts.ObjectLiteralElementLike[] {
  if (ts.isObjectLiteralExpression(node)) return node.properties;
  if (ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) return tableOf(node.expression);
  return [];
}
