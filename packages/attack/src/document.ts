/** What of an OpenAPI document an attack needs. */
export interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

export interface Operation {
  operationId: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema?: Schema; example?: unknown }> };
  security?: Record<string, unknown>[];
  "x-encore-stream"?: unknown;
}

export interface Parameter {
  name: string;
  in: "path" | "query" | "header" | "cookie";
  required?: boolean;
  schema?: Schema;
  example?: unknown;
}

export interface Schema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}

export interface Endpoint {
  method: string;
  path: string;
  operation: Operation;
  isSocket: boolean;
  /** Anybody may call it, without a key. */
  isPublic: boolean;
}

export function endpointsOf(document: Document): Endpoint[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
      isSocket: operation["x-encore-stream"] !== undefined,
      isPublic: (operation.security ?? []).some((way) => Object.keys(way).length === 0),
    })),
  );
}

/** The schema with its references followed, so that its properties can be read. */
export function resolved(document: Document, schema: Schema | undefined): Schema {
  let found = schema ?? {};
  for (let depth = 0; found.$ref !== undefined && depth < 10; depth++) {
    found = document.components.schemas[found.$ref.split("/").at(-1) ?? ""] ?? {};
  }
  return found;
}

/** Whether a value of this schema can be text, or hold text. */
export function holdsText(document: Document, schema: Schema | undefined): "text" | "texts" | null {
  const { type, items, anyOf, oneOf } = resolved(document, schema);
  const types = Array.isArray(type) ? type : [type];
  if (types.includes("string")) return "text";
  if (types.includes("array")) return holdsText(document, items) === "text" ? "texts" : null;
  for (const one of [...(anyOf ?? []), ...(oneOf ?? [])]) {
    const held = holdsText(document, one);
    if (held !== null) return held;
  }
  return null;
}
