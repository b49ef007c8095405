/** Routes against a plain reading of the rules: every route that fits, the most literal one first. */

import fc from "fast-check";
import { expect, it } from "vitest";
import type { PathSegment } from "../../src/meta.js";
import { Router } from "../../src/runtime/http/router.js";

function segments(path: string): PathSegment[] {
  return path
    .slice(1)
    .split("/")
    .map((s): PathSegment => {
      if (s.startsWith(":")) return { kind: "param", name: s.slice(1), type: "string" };
      if (s.startsWith("*")) return { kind: "wildcard", name: s.slice(1) };
      return s.startsWith("!") ? { kind: "fallback", name: s.slice(1) } : { kind: "literal", value: s };
    });
}

function fits(route: string, path: string): boolean {
  const parts = route.slice(1).split("/");
  const wild = /^[*!]/.test(parts.at(-1) ?? "");
  const fixed = (wild ? parts.slice(0, -1) : parts).map((s) => (s.startsWith(":") ? "[^/]+" : s));
  return new RegExp(wild ? `^/${fixed.map((f) => `${f}/`).join("")}.*$` : `^/${fixed.join("/")}/?$`).test(path);
}

const part = fc.constantFrom("a", "b", ":p");
const route = fc.tuple(fc.array(part, { minLength: 1, maxLength: 4 }), fc.constantFrom("", "", "/*w"));
const routes = fc.uniqueArray(
  route.map(([parts, end]) => `/${parts.join("/")}${end}`),
  { maxLength: 8 },
);
const paths = fc
  .array(fc.constantFrom("a", "b", "c", ""), { minLength: 1, maxLength: 5 })
  .map((p) => `/${p.join("/")}`);

it("finds a route exactly where one fits (ENC-1)", () => {
  fc.assert(
    fc.property(routes, paths, (list, path) => {
      const router = new Router<string>();
      for (const r of list) router.add(segments(r), ["GET"], r);
      const found = router.find("GET", path);
      const fitting = list.filter((r) => fits(r, path));
      if (typeof found === "string") expect(fitting).toEqual([]);
      else expect(fitting).toContain(found.target);
    }),
    { numRuns: 2000 },
  );
});

it("prefers literals from the left, then parameters, then wildcards, then fallbacks (ENC-1)", () => {
  const router = new Router<string>();
  for (const r of ["/!all", "/a/*w", "/a/:p", "/a/b", "/:p/b"]) router.add(segments(r), ["GET"], r);
  const at = (p: string): unknown => (router.find("GET", p) as { target: string }).target;
  expect(["/a/b", "/a/c", "/a/c/d", "/c/b", "/c/d", "/"].map(at)).toEqual([
    "/a/b",
    "/a/:p",
    "/a/*w",
    "/:p/b",
    "/!all",
    "/!all",
  ]);
});

it("knows a path of another method from an unknown one (ENC-1)", () => {
  const router = new Router<string>();
  router.add(segments("/a"), ["GET"], "get");
  router.add(segments("/a"), ["POST"], "post");
  expect([router.find("PUT", "/a"), router.find("GET", "/b")]).toEqual(["path", "none"]);
});
