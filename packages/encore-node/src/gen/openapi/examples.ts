import type { NamedType, ObjectField, Rule, Schema } from "../../meta.js";
import { parseDoc } from "./doc-comment.js";

/** One moment for all examples, so that documents do not change from build to build. */
const MOMENT = "2026-01-02T03:04:05.678Z";
const EMAIL = "ada@example.com";
const URL_EXAMPLE = "https://example.com/";
/** Tried in turn where a pattern has to match. */
const CANDIDATES = [
  "a",
  "abc",
  "aaa",
  "A",
  "1",
  "123",
  "1.0.0",
  "abc-1",
  "abc_1",
  "2026-01-02",
  MOMENT,
  EMAIL,
  URL_EXAMPLE,
];

/** Plausible values by the last word of a field's name; anything else gets the name itself. */
const BY_NAME: Record<string, string> = {
  email: EMAIL,
  url: URL_EXAMPLE,
  name: "Ada",
  title: "A title",
  content: "Hello",
  text: "Hello",
  message: "Hello",
  description: "What it is for",
  version: "1.0.0",
};

/** A value that fits `schema`, always the same; `@example` in the field's doc comment goes before everything else. */
export function exampleOf(schema: Schema, name: string, doc: string, types: Record<string, NamedType>): unknown {
  return new ExampleMaker(types).value(schema, name, doc);
}

/** Fields by name; optional ones are shown too, except where that would never end. */
export function exampleOfFields(fields: ObjectField[], types: Record<string, NamedType>): Record<string, unknown> {
  return new ExampleMaker(types).object(fields);
}

class ExampleMaker {
  private readonly open: string[] = [];

  constructor(private readonly types: Record<string, NamedType>) {}

  value(schema: Schema, name: string, doc: string): unknown {
    const written = parseDoc(doc).tags.find((tag) => tag.name === "example");
    if (written) return literal(written.text || written.block);
    switch (schema.kind) {
      case "any":
        return {};
      case "string":
        return text(name, schema.rules);
      case "number":
        return number(schema.rules);
      case "bigint":
        return 1;
      case "decimal":
        return "12.50";
      case "boolean":
        return true;
      case "null":
        return null;
      case "date":
        return MOMENT;
      case "literal":
        return schema.value;
      case "array":
        return this.array(schema.items, name, schema.rules);
      case "tuple":
        return schema.items.map((item) => this.value(item, name, ""));
      case "record":
        return { key: this.value(schema.value, name, "") };
      case "object":
        return this.object(schema.fields);
      case "union":
        return this.union(schema.variants, name);
      case "ref":
        return this.ref(schema.name, name);
    }
  }

  object(fields: ObjectField[]): Record<string, unknown> {
    const shown = fields.filter((field) => !(field.optional && this.isEndless(field.schema)));
    return Object.fromEntries(shown.map((field) => [field.name, this.value(field.schema, field.name, field.doc)]));
  }

  private ref(name: string, field: string): unknown {
    const named = this.types[name];
    if (!named || this.open.includes(name)) return {};
    this.open.push(name);
    const value = this.value(named.schema, field, named.doc);
    this.open.pop();
    return value;
  }

  private array(items: Schema, name: string, rules: Rule | undefined): unknown[] {
    if (this.isEndless(items)) return [];
    const count = Math.max(1, bound(rules, "minLen") ?? 1);
    const one = this.value(items, name.replace(/s$/, ""), "");
    return Array<unknown>(Math.min(count, bound(rules, "maxLen") ?? count)).fill(one);
  }

  private union(variants: Schema[], name: string): unknown {
    const finite = variants.filter((variant) => !this.isEndless(variant));
    const best = finite.find((variant) => variant.kind !== "null") ?? finite[0] ?? { kind: "null" };
    return this.value(best, name, "");
  }

  /** Leads back to a type that is being shown already. */
  private isEndless(schema: Schema): boolean {
    if (schema.kind === "ref") return this.open.includes(schema.name);
    if (schema.kind === "union")
      return schema.variants.every((variant) => variant.kind === "null" || this.isEndless(variant));
    return false;
  }
}

/** JSON where it is JSON, else the text as it stands. */
export function literal(written: string): unknown {
  try {
    return JSON.parse(written);
  } catch {
    return written;
  }
}

function text(name: string, rules: Rule | undefined): string {
  const word = /[A-Za-z][a-z]*$/.exec(name)?.[0]?.toLowerCase() ?? "";
  const timed = word === "at" && name !== word ? MOMENT : undefined;
  const first = timed ?? BY_NAME[word] ?? (name || "text");
  const candidates = [first, ...repaired(first, rules), ...CANDIDATES];
  return candidates.find((candidate) => fits(candidate, rules)) ?? first;
}

/** The plain guess, made to begin, end and be as long as the rules say. */
function repaired(guess: string, rules: Rule | undefined): string[] {
  const every = flatten(rules);
  const start = every.find((rule) => rule.op === "startsWith");
  const end = every.find((rule) => rule.op === "endsWith");
  const begun = `${start && "value" in start ? start.value : ""}${guess}${end && "value" in end ? end.value : ""}`;
  const least = bound(rules, "minLen") ?? 0;
  const most = bound(rules, "maxLen") ?? Number.POSITIVE_INFINITY;
  const long = begun.length < least ? begun.padEnd(least, guess || "x") : begun;
  return [begun, long, long.slice(0, most)];
}

function fits(value: string, rule: Rule | undefined): boolean {
  if (!rule) return true;
  switch (rule.op) {
    case "and":
      return rule.rules.every((inner) => fits(value, inner));
    case "or":
      return rule.rules.some((inner) => fits(value, inner));
    case "minLen":
      return value.length >= rule.value;
    case "maxLen":
      return value.length <= rule.value;
    case "startsWith":
      return value.startsWith(rule.value);
    case "endsWith":
      return value.endsWith(rule.value);
    case "matches":
      return matches(rule.value, value);
    case "email":
      return value.includes("@");
    case "url":
      return URL.canParse(value);
    default:
      return true;
  }
}

/** Patterns are written for Rust's regex; one that JavaScript cannot read decides nothing here. */
function matches(pattern: string, value: string): boolean {
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return true;
  }
}

function number(rules: Rule | undefined): number {
  const least = bound(rules, "min");
  const most = bound(rules, "max");
  if (least !== undefined && least > 1) return least;
  if (most !== undefined && most < 1) return most;
  return 1;
}

function bound(rules: Rule | undefined, op: "min" | "max" | "minLen" | "maxLen"): number | undefined {
  const found = flatten(rules).find((rule) => rule.op === op);
  return found && "value" in found && typeof found.value === "number" ? found.value : undefined;
}

function flatten(rule: Rule | undefined): Rule[] {
  if (!rule) return [];
  return rule.op === "and" || rule.op === "or" ? rule.rules.flatMap(flatten) : [rule];
}
