import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, inject, it } from "vitest";
import { request } from "../harness/organization";

interface OpenApi {
  openapi: string;
  paths: Record<
    string,
    Record<
      string,
      {
        summary?: string;
        security?: unknown[];
        responses: Record<string, { content?: Record<string, { example?: unknown; schema?: unknown }> }>;
        requestBody?: { content: Record<string, { example?: unknown; schema?: unknown }> };
      }
    >
  >;
}

const { url } = inject("graphyn");
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

describe("the interface's description", () => {
  it("is served as OpenAPI 3.1 and names every endpoint (DEP-2)", async () => {
    const { status, body } = await request<OpenApi>(url, "GET", "/openapi.json");
    expect(status).toBe(200);
    expect(body.openapi).toMatch(/^3\.1\./);
    const endpoints = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((m) => `${m.toUpperCase()} ${path}`),
    );
    expect(endpoints).toEqual(
      expect.arrayContaining([
        "POST /threads",
        "GET /threads",
        "GET /threads/{id}",
        "PATCH /threads/{id}",
        "DELETE /threads/{id}",
        "GET /threads/{id}/messages",
        "POST /threads/{id}/messages",
        "GET /threads/{id}/stream",
        "GET /threads/{id}/collaborate",
        "GET /search",
        "GET /threads/{id}/participants",
        "POST /threads/{id}/participants",
        "DELETE /threads/{id}/participants/{participantId}",
        "POST /threads/{id}/turns/{turnId}/cancel",
        "POST /agents",
        "GET /agents",
        "GET /agents/{id}",
        "GET /agents/{id}/versions",
        "GET /health",
        "GET /letta/health",
      ]),
    );
  });

  it("has for each endpoint a summary, its errors, and examples with the schemas (DEP-2)", async () => {
    const { body } = await request<OpenApi>(url, "GET", "/openapi.json");
    for (const [path, methods] of Object.entries(body.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const name = `${method} ${path}`;
        expect([name, operation.summary]).not.toEqual([name, undefined]);
        expect([
          name,
          Object.keys(operation.responses).some((status) => status.startsWith("4") || status === "default"),
        ]).toEqual([name, true]);
        for (const content of Object.values(operation.requestBody?.content ?? {}))
          expect([name, content]).toMatchObject([name, { schema: {}, example: {} }]);
        const answer = operation.responses["200"]?.content?.["application/json"];
        if (answer?.schema) expect([name, answer]).toMatchObject([name, { example: {} }]);
      }
    }
  });

  it("is the one that the code gives now: npm run openapi writes it (DEP-2)", async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["packages/encore-node/bin/encore-node.js", "openapi", "backend"],
      {
        cwd: ROOT,
        maxBuffer: 16 << 20,
      },
    );
    expect(JSON.parse(await readFile(`${ROOT}/backend/system/openapi.gen.json`, "utf8"))).toEqual(JSON.parse(stdout));
  });

  it("can be tried in a page that loads nothing from elsewhere (DEP-2)", async () => {
    const page = await (await fetch(`${url}/docs`)).text();
    const files = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(files.length).toBeGreaterThan(1);
    for (const file of files) {
      expect(file.startsWith("/docs/")).toBe(true);
      expect((await fetch(url + file)).status).toBe(200);
    }
    expect((await fetch(`${url}/docs/package.json`)).status).toBe(404);
  });
});

describe("health", () => {
  it("needs no credentials and says whether the database answers", async () => {
    expect(await request(url, "GET", "/health")).toEqual({
      status: 200,
      body: { status: "ok", database: "ok", version: "0.1.0" },
    });
  });
});
