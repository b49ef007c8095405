/**
 * Paths to endpoints as Encore's gateway matches them (gateway/router.rs over matchit, paths.rs): literal before
 * parameter before wildcard at every segment, with backtracking; parameters are never empty; one trailing slash is
 * accepted; fallback routes come after everything else.
 */

import type { PathSegment } from "../../meta.js";

export const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] as const;

interface Branch<T> {
  literals: Map<string, Branch<T>>;
  param: Branch<T> | null;
  rest: Map<string, T> | null;
  here: Map<string, T> | null;
}

export interface Match<T> {
  target: T;
  /** Still percent-encoded, in the order of the path's dynamic segments. */
  params: string[];
}

function branch<T>(): Branch<T> {
  return { literals: new Map(), param: null, rest: null, here: null };
}

export class Router<T> {
  private readonly main = branch<T>();
  private readonly fallback = branch<T>();

  add(path: PathSegment[], methods: readonly string[], target: T): void {
    const last = path.at(-1);
    let at = last?.kind === "fallback" ? this.fallback : this.main;
    for (const segment of path) {
      if (segment.kind === "wildcard" || segment.kind === "fallback") {
        at.rest = register(at.rest, methods, target);
        const empty = step(at, "");
        empty.here = register(empty.here, methods, target);
        return;
      }
      if (segment.kind === "param") {
        at.param ??= branch();
        at = at.param;
      } else for (const part of segment.value.split("/")) at = step(at, part);
    }
    if (path.length === 0) at = step(at, "");
    at.here = register(at.here, methods, target);
  }

  /** The target, or what is known: whether any route has this path. */
  find(method: string, path: string): Match<T> | "path" | "none" {
    const parts = path.slice(1).split("/");
    let known = false;
    for (const root of [this.main, this.fallback]) {
      const params: string[] = [];
      const found = search(root, parts, 0, params);
      if (!found) continue;
      known = true;
      const target = found.get(method);
      if (target !== undefined) return { target, params };
    }
    return known ? "path" : "none";
  }
}

function step<T>(at: Branch<T>, part: string): Branch<T> {
  let next = at.literals.get(part);
  if (!next) {
    next = branch();
    at.literals.set(part, next);
  }
  return next;
}

/** The first to register a method keeps it, as Encore has it. */
function register<T>(map: Map<string, T> | null, methods: readonly string[], target: T): Map<string, T> {
  const out = map ?? new Map<string, T>();
  for (const method of methods) if (!out.has(method)) out.set(method, target);
  return out;
}

function search<T>(at: Branch<T>, parts: string[], i: number, params: string[]): Map<string, T> | null {
  if (i === parts.length) return at.here;
  const part = parts[i] as string;
  const literal = at.literals.get(part);
  if (literal) {
    const found = search(literal, parts, i + 1, params);
    if (found) return found;
  }
  // A trailing slash, where no route has one of its own.
  if (part === "" && i === parts.length - 1 && parts[i - 1] && at.here && !literal) return at.here;
  if (at.param && part !== "") {
    params.push(part);
    const found = search(at.param, parts, i + 1, params);
    if (found) return found;
    params.pop();
  }
  if (at.rest) {
    const rest = parts.slice(i).join("/");
    if (rest !== "") {
      params.push(rest);
      return at.rest;
    }
  }
  return null;
}
