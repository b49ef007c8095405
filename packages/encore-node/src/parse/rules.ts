import ts from "typescript";
import type { Rule, Schema } from "../meta.js";

/**
 * The rule a type of `encore.dev/validate` stands for. Each is an object type with one property under a unique symbol called
 * `__validate`; null when `type` is no such type.
 */
export function ruleOfType(type: ts.Type, checker: ts.TypeChecker): Rule | null {
  if (!(type.flags & ts.TypeFlags.Object)) return null;
  const [property, ...others] = type.getProperties();
  if (!property || others.length > 0 || !/^__@_+validate\b/.test(property.name)) return null;
  const held = checker.getNonNullableType(checker.getTypeOfSymbol(property)).getProperties()[0];
  if (!held) return null;
  const value = checker.getTypeOfSymbol(held);
  const number = value.isNumberLiteral() ? value.value : Number.NaN;
  const text = value.isStringLiteral() ? value.value : "";
  switch (held.name) {
    case "minLen":
    case "maxLen":
      return { op: held.name, value: number };
    case "minValue":
      return { op: "min", value: number };
    case "maxValue":
      return { op: "max", value: number };
    case "startsWith":
    case "endsWith":
      return { op: held.name, value: text };
    case "matchesRegexp":
      return { op: "matches", value: text };
    case "isEmail":
      return { op: "email" };
    case "isURL":
      return { op: "url" };
    default:
      return null;
  }
}

/** `a & b`: one list, without nesting of the same kind. */
export function allOf(rules: Rule[]): Rule | undefined {
  const flat = rules.flatMap((rule) => (rule.op === "and" ? rule.rules : [rule]));
  return flat.length > 1 ? { op: "and", rules: flat } : flat[0];
}

export function anyOf(rules: Rule[]): Rule | undefined {
  const flat = rules.flatMap((rule) => (rule.op === "or" ? rule.rules : [rule]));
  return flat.length > 1 ? { op: "or", rules: flat } : flat[0];
}

/** The first rule of `rules` that a schema of this kind cannot have, written as in the source; null when all fit. */
export function misfit(rule: Rule, kind: Schema["kind"]): string | null {
  switch (rule.op) {
    case "and":
    case "or":
      return rule.rules.map((inner) => misfit(inner, kind)).find((found) => found !== null) ?? null;
    case "minLen":
    case "maxLen":
      return kind === "string" || kind === "array" ? null : describe(rule);
    case "min":
    case "max":
      return kind === "number" || kind === "decimal" ? null : describe(rule);
    default:
      return kind === "string" ? null : describe(rule);
  }
}

function describe(rule: Rule): string {
  switch (rule.op) {
    case "minLen":
      return `MinLen<${rule.value}>`;
    case "maxLen":
      return `MaxLen<${rule.value}>`;
    case "min":
      return `Min<${rule.value}>`;
    case "max":
      return `Max<${rule.value}>`;
    case "startsWith":
      return `StartsWith<"${rule.value}">`;
    case "endsWith":
      return `EndsWith<"${rule.value}">`;
    case "matches":
      return `MatchesRegexp<"${rule.value}">`;
    case "email":
      return "IsEmail";
    case "url":
      return "IsURL";
    default:
      return rule.rules.map(describe).join(rule.op === "and" ? " & " : " | ");
  }
}
