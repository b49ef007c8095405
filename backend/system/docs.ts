import { readFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { currentRequest } from "encore.dev";
import { api } from "encore.dev/api";
import { pagePolicy } from "../lib/security-headers";
import openapi from "./openapi.gen.json";

const require = createRequire(import.meta.url);
const DAY_S = 86_400;

/** The OpenAPI 3.1 description of this interface: every endpoint with its fields, errors and examples. */
export const openapiDocument = api.raw({ expose: true, method: "GET", path: "/openapi.json" }, async (_req, resp) => {
  resp.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-cache" });
  resp.end(JSON.stringify(openapi));
});

const SCRIPT =
  'SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true, persistAuthorization: true, tryItOutEnabled: true });';

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Graphyn API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script>${SCRIPT}</script>
</html>`;

/** Interactive documentation: read every endpoint, and try it with your key. */
export const docs = api.raw({ expose: true, method: "GET", path: "/docs" }, async (_req, resp) => {
  resp.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": pagePolicy(SCRIPT) });
  resp.end(PAGE);
});

const FILES: Record<string, string> = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
};

/** The documentation page's own files, from the package swagger-ui-dist: nothing is loaded from elsewhere. */
export const docsFile = api.raw(
  { expose: true, method: "GET", path: "/docs/:file", tags: ["internal"] },
  async (_req, resp) => {
    const request = currentRequest();
    const name = request?.type === "api-call" ? String(request.pathParams?.file) : "";
    const type = FILES[name];
    if (!type) return notThere(resp);
    const content = await readFile(require.resolve(`swagger-ui-dist/${name}`));
    resp.writeHead(200, { "Content-Type": type, "Cache-Control": `public, max-age=${DAY_S}` });
    resp.end(content);
  },
);

function notThere(resp: ServerResponse): void {
  resp.writeHead(404, { "Content-Type": "application/json" });
  resp.end(JSON.stringify({ code: "not_found", message: "There is no such file.", details: null }));
}
