/** Validation rules of `encore.dev/validate`, with the wording of runtimes/core/src/api/jsonschema/validation.rs. */

import type { Rule } from "../../meta.js";
import { isEmail } from "./email.js";
import { rustFloat, rustFloatDebug, rustString } from "./text.js";

/**
 * Null when the value fits, else the sentence. `float` says that the number was written as one (`5.0`): Encore compares
 * integers with the bound cut to an integer.
 */
export type Validator = (value: unknown, float: boolean, untyped: boolean) => string | null;

const WANT_LENGTH = "unexpected type (expected string or array)";
const WANT_NUMBER = "unexpected type (expected number)";
const WANT_STRING = "unexpected type (expected string)";

export function compileRule(rule: Rule): Validator {
  switch (rule.op) {
    case "and":
      return all(rule.rules.map(compileRule));
    case "or":
      return any(rule.rules.map(compileRule));
    case "minLen":
      return (v) => {
        const n = length(v);
        if (n === null) return WANT_LENGTH;
        return n < rule.value ? `length too short (got ${n}, expected at least ${rule.value})` : null;
      };
    case "maxLen":
      return (v) => {
        const n = length(v);
        if (n === null) return WANT_LENGTH;
        return n > rule.value ? `length too long (got ${n}, expected at most ${rule.value})` : null;
      };
    case "min":
      return bound(rule.value, (a, b) => a < b, "at least");
    case "max":
      return bound(rule.value, (a, b) => a > b, "at most");
    case "startsWith":
      return onString(rule.value, (s) => s.startsWith(rule.value), "start with");
    case "endsWith":
      return onString(rule.value, (s) => s.endsWith(rule.value), "end with");
    case "matches":
      return matches(rule.value);
    case "email":
      return (v) => (typeof v !== "string" ? WANT_STRING : isEmail(v) ? null : "value is not an email");
    case "url":
      return (v) => (typeof v !== "string" ? WANT_STRING : URL.canParse(v) ? null : "value is not a url");
  }
}

function all(rules: Validator[]): Validator {
  return (v, float, untyped) => {
    for (const rule of rules) {
      const error = rule(v, float, untyped);
      if (error !== null) return error;
    }
    return null;
  };
}

/** The first rule's error speaks for all (recording `valid-or`). */
function any(rules: Validator[]): Validator {
  return (v, float, untyped) => {
    let first: string | null = null;
    for (const rule of rules) {
      const error = rule(v, float, untyped);
      if (error === null) return null;
      first ??= error;
    }
    return first;
  };
}

/** Bytes of a string, as Rust counts (recording `valid-unicode-length`). */
function length(v: unknown): number | null {
  if (typeof v === "string") return Buffer.byteLength(v);
  return Array.isArray(v) ? v.length : null;
}

function bound(limit: number, bad: (a: number, b: number) => boolean, words: string): Validator {
  return (v, float) => {
    let n: number;
    let got: string;
    if (typeof v === "number") {
      n = v;
      got = float ? rustFloatDebug(v) : String(v);
    } else if (typeof v === "bigint") {
      n = Number(v);
      got = String(v);
    } else if (typeof v === "object" && v !== null && "__encore_decimal" in v) {
      got = String(v);
      n = Number(got);
    } else return WANT_NUMBER;
    const against = typeof v === "object" || float ? limit : Math.trunc(limit);
    return bad(n, against) ? `value must be ${words} ${rustFloat(limit)} (got ${got})` : null;
  };
}

/** Inside a union of objects or arrays Encore compares the value with itself, so anything passes there. */
function onString(wanted: string, fits: (s: string) => boolean, words: string): Validator {
  return (v, _float, untyped) => {
    if (typeof v !== "string") return WANT_STRING;
    return untyped || fits(v) ? null : `value does not ${words} ${rustString(wanted)}`;
  };
}

function matches(pattern: string): Validator {
  const regexp = toRegExp(pattern);
  return (v) => {
    if (typeof v !== "string") return WANT_STRING;
    return regexp.test(v) ? null : `value does not match the regexp ${rustString(pattern)}`;
  };
}

/** Rust's syntax where it differs from JavaScript's: flags at the start, named groups, the text's own ends. */
function toRegExp(pattern: string): RegExp {
  const flags = /^(\^?)\(\?([ims]+)\)/.exec(pattern);
  const rest = flags ? (flags[1] ?? "") + pattern.slice(flags[0].length) : pattern;
  const body = rest.replaceAll("(?P<", "(?<").replaceAll("\\A", "^").replaceAll("\\z", "$");
  const given = flags?.[2] ?? "";
  for (const unicode of ["u", ""]) {
    try {
      return new RegExp(body, unicode + given);
    } catch {
      // Rust accepts escapes that JavaScript refuses in its Unicode mode.
    }
  }
  throw new Error(`encore-node: the pattern ${rustString(pattern)} of MatchesRegexp has no JavaScript form`);
}
