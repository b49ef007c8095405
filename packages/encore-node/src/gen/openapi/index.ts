import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { AppMeta, EndpointMeta, PathSegment } from "../../meta.js";
import { errorResponses, errorSchema } from "./errors.js";
import { type JsonSchema, namedSchema, SCHEMAS } from "./json-schema.js";
import { type DocumentContext, operation } from "./operation.js";
import { security } from "./security.js";

export { DocError } from "./operation.js";

/** `info` of the document: from the app's package.json. */
export interface DocumentInfo {
  title: string;
  version: string;
  description?: string;
}

/** Endpoints with this tag are reachable but not part of the public interface. */
const INTERNAL_TAG = "internal";
/** What `method: "*"` is documented as. */
const ANY_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** The OpenAPI 3.1 document of every exposed endpoint, the same for the same sources. */
export function buildOpenApi(meta: AppMeta, info: DocumentInfo): Record<string, unknown> {
  const endpoints = meta.endpoints.filter((endpoint) => endpoint.expose && !endpoint.tags.includes(INTERNAL_TAG));
  const { schemes, ways } = security(meta);
  const taken = new Set(Object.keys(meta.types));
  const freeName = (wanted: string): string => {
    let name = wanted;
    for (let count = 2; taken.has(name); count++) name = `${wanted}${count}`;
    taken.add(name);
    return name;
  };
  const error = freeName("APIError");
  const added: Record<string, JsonSchema> = { [error]: errorSchema() };
  const context: DocumentContext = {
    meta,
    security: ways,
    operationId: operationIds(endpoints),
    addSchema(wanted, schema) {
      const same = Object.keys(added).find((name) => sameSchema(added[name], schema) && name.startsWith(wanted));
      const name = same ?? freeName(wanted);
      added[name] = schema;
      return { $ref: `${SCHEMAS}${name}` };
    },
  };

  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    const template = pathTemplate(endpoint.path);
    const item = paths[template] ?? {};
    paths[template] = item;
    for (const method of endpoint.methods.includes("*") ? ANY_METHODS : endpoint.methods)
      item[method.toLowerCase()] = operation(endpoint, method, context);
  }
  const schemas = { ...added, ...reachable(meta, [paths, added]) };
  return {
    openapi: "3.1.0",
    info,
    servers: [{ url: "/" }],
    tags: [...new Set(endpoints.map((endpoint) => endpoint.service))].sort().map((name) => ({ name })),
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))),
      responses: errorResponses(`${SCHEMAS}${error}`),
      ...(Object.keys(schemes).length > 0 ? { securitySchemes: schemes } : {}),
    },
  };
}

/** Title, version and description of an app, as its package.json and encore.app say. */
export function documentInfo(root: string, meta: AppMeta): DocumentInfo {
  const file = path.join(root, "package.json");
  const json = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>) : {};
  const text = (key: string): string | undefined => (typeof json[key] === "string" ? json[key] : undefined);
  const description = text("description");
  return {
    title: meta.appId || text("title") || text("name") || "API",
    version: text("version") ?? "0.0.0",
    ...(description ? { description } : {}),
  };
}

function pathTemplate(segments: PathSegment[]): string {
  return segments.map((segment) => `/${segment.kind === "literal" ? segment.value : `{${segment.name}}`}`).join("");
}

/** The endpoint's name where it is the only one of that name, else with its service; with its method where it has several. */
function operationIds(endpoints: EndpointMeta[]): DocumentContext["operationId"] {
  return (endpoint, method) => {
    const unique = endpoints.filter(({ name }) => name === endpoint.name).length === 1;
    const base = unique ? endpoint.name : `${endpoint.service.replace(/-/g, "_")}_${endpoint.name}`;
    const several = endpoint.methods.length > 1 || endpoint.methods.includes("*");
    return several ? `${base}_${method.toLowerCase()}` : base;
  };
}

/** The named types that the document refers to, directly or through others. */
function reachable(meta: AppMeta, from: unknown): Record<string, JsonSchema> {
  const found: Record<string, JsonSchema> = {};
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key !== "$ref" || typeof inner !== "string") {
        visit(inner);
        continue;
      }
      const name = inner.startsWith(SCHEMAS) ? inner.slice(SCHEMAS.length) : "";
      const named = meta.types[name];
      if (!named || found[name]) continue;
      found[name] = namedSchema(named);
      visit(found[name]);
    }
  };
  visit(from);
  return found;
}

function sameSchema(a: JsonSchema | undefined, b: JsonSchema): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
