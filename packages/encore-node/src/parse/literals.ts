import ts from "typescript";
import type { Problems } from "./problems.js";

/** A configuration value as Encore reads it: from the source text alone, nothing is executed. */
export type Literal = string | number | boolean | null | Literal[];

/**
 * The properties of a configuration object. Encore reads such objects without running them, so every value has to be
 * written out; `where` names the object in the message otherwise.
 */
export function objectProperties(node: ts.Expression, where: string, problems: Problems): Map<string, ts.Expression> {
  const properties = new Map<string, ts.Expression>();
  const object = unwrap(node);
  if (!ts.isObjectLiteralExpression(object)) {
    problems.at(
      node,
      `${where} must be written as an object literal, because Encore reads it without running the code.`,
    );
    return properties;
  }
  for (const property of object.properties) {
    if (ts.isPropertyAssignment(property) && (ts.isIdentifier(property.name) || ts.isStringLiteral(property.name)))
      properties.set(property.name.text, property.initializer);
    else if (ts.isShorthandPropertyAssignment(property)) properties.set(property.name.text, property.name);
    else problems.at(property, `${where} may hold plain "name: value" properties only.`);
  }
  return properties;
}

/** The value of a literal expression (numbers may be computed from literals, as in `2 * 1024`); undefined when it is none. */
export function literalOf(node: ts.Expression): Literal | undefined {
  const expression = unwrap(node);
  if (ts.isStringLiteralLike(expression)) return expression.text;
  if (ts.isNumericLiteral(expression)) return Number(expression.text);
  switch (expression.kind) {
    case ts.SyntaxKind.TrueKeyword:
      return true;
    case ts.SyntaxKind.FalseKeyword:
      return false;
    case ts.SyntaxKind.NullKeyword:
      return null;
  }
  if (ts.isPrefixUnaryExpression(expression) && expression.operator === ts.SyntaxKind.MinusToken) {
    const value = literalOf(expression.operand);
    return typeof value === "number" ? -value : undefined;
  }
  if (ts.isBinaryExpression(expression)) return arithmetic(expression);
  if (ts.isArrayLiteralExpression(expression)) {
    const items = expression.elements.map(literalOf);
    return items.every((item) => item !== undefined) ? items : undefined;
  }
  return undefined;
}

function arithmetic(node: ts.BinaryExpression): number | undefined {
  const left = literalOf(node.left);
  const right = literalOf(node.right);
  if (typeof left !== "number" || typeof right !== "number") return undefined;
  switch (node.operatorToken.kind) {
    case ts.SyntaxKind.AsteriskToken:
      return left * right;
    case ts.SyntaxKind.PlusToken:
      return left + right;
    case ts.SyntaxKind.MinusToken:
      return left - right;
    case ts.SyntaxKind.SlashToken:
      return left / right;
    case ts.SyntaxKind.AsteriskAsteriskToken:
      return left ** right;
    case ts.SyntaxKind.LessThanLessThanToken:
      return left << right;
    default:
      return undefined;
  }
}

/** Parentheses, `as const`, `satisfies X` and `!` do not change a value. */
export function unwrap(node: ts.Expression): ts.Expression {
  let inner = node;
  while (
    ts.isParenthesizedExpression(inner) ||
    ts.isAsExpression(inner) ||
    ts.isSatisfiesExpression(inner) ||
    ts.isNonNullExpression(inner)
  )
    inner = inner.expression;
  return inner;
}
