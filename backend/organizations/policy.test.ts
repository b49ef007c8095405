import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseApp } from "../../packages/encore-node/src/parse/index";
import { formatPath } from "../../packages/encore-node/src/parse/paths";
import { POLICY, type Policy, PUBLIC, ROLE_SETS, THREAD_ROLES } from "./policy";
import { allows } from "./scopes";

const { meta } = parseApp("backend");
const endpoints = (meta?.endpoints ?? []).filter(({ tags }) => !tags.includes("internal"));
const rows: [string, Policy][] = Object.entries(POLICY);

/** Method and path as in the OpenAPI document. */
function at({ kind, methods, path }: (typeof endpoints)[number]): string {
  const method = kind.startsWith("stream") ? "GET" : methods.join(",");
  return `${method} ${formatPath(path).replace(/:(\w+)/g, "{$1}")}`;
}

describe("the policy", () => {
  it("has a row for every endpoint with callers, at its method and path, and for no other (AGT-2, SEC-4)", () => {
    const asked = endpoints.filter(({ auth }) => auth).map((endpoint) => [endpoint.name, at(endpoint)]);
    expect(asked.length).toBeGreaterThan(30);
    expect(rows.map(([name, row]) => [name, row.at]).sort()).toEqual(asked.sort());
  });

  it("names every endpoint that anybody may call (SEC-4)", () => {
    const open = endpoints.filter(({ auth, expose }) => expose && !auth).map(at);
    expect(open.sort()).toEqual([...PUBLIC].sort());
  });

  it("stands before every endpoint with callers: its service has the middleware, and nothing else says who calls (SEC-4)", () => {
    const services = new Set(endpoints.filter(({ auth }) => auth).map(({ service }) => service));
    for (const service of services) {
      expect(readFileSync(`backend/${service}/encore.service.ts`, "utf8")).toContain(
        "{ middlewares: [secured, policed] }",
      );
    }
    const files = [...new Set(endpoints.map(({ source }) => source.file))];
    expect(files.filter((file) => readFileSync(`backend/${file}`, "utf8").includes("getAuthData"))).toEqual([]);
  });

  it("leaves no service without the headers that every answer has (SEC-2)", () => {
    for (const service of new Set(endpoints.map((endpoint) => endpoint.service))) {
      expect(readFileSync(`backend/${service}/encore.service.ts`, "utf8")).toContain("middlewares: [secured");
    }
  });

  it.each(rows)("%s: roles, a scope that exists, and thread actions that roles decide (AGT-2)", (_name, row) => {
    expect(ROLE_SETS).toContain(row.roles);
    if (row.scope) expect(allows([row.scope], row.scope)).toBe(true);
    for (const action of [row.thread ?? []].flat()) expect(THREAD_ROLES.host).toHaveProperty(action);
    if (row.thread) expect(row.at).toContain(" /threads/{id}");
  });

  it("lets guests in nowhere but in threads, at their own key, and at an invitation to others (AGT-2)", () => {
    const open = rows.filter(([, { roles }]) => roles.includes("guest")).map(([, row]) => row.at);
    expect(open.filter((where) => !/^\w+ (\/threads(\/|$)|\/search$)/.test(where))).toEqual([
      "POST /invitations/accept",
      "DELETE /api-keys/{id}",
      "POST /api-keys/{id}/rotate",
    ]);
  });
});
