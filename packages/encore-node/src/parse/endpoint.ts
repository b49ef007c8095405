import ts from "typescript";
import type { EndpointKind, EndpointMeta, PathSegment, RequestField, ResponseField, Schema } from "../meta.js";
import { docOf } from "./docs.js";
import { messageSchema, type NamedUse, requestFields, responseFields } from "./fields.js";
import { literalOf, objectProperties, unwrap } from "./literals.js";
import { parsePath } from "./paths.js";
import type { Problems } from "./problems.js";
import type { SchemaBuilder } from "./schema.js";

/** Encore's default, in bytes. */
const BODY_LIMIT_BYTES = 2 * 1024 * 1024;
const METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"];
const KINDS: Record<string, EndpointKind> = {
  raw: "raw",
  streamIn: "streamIn",
  streamOut: "streamOut",
  streamInOut: "streamInOut",
};
const OPTIONS = new Set(["method", "path", "expose", "auth", "bodyLimit", "tags", "sensitive"]);

/** An `api(…)` call found in a file, bound to the exported `name`. */
export interface EndpointCall {
  call: ts.CallExpression;
  /** The member behind `api`, "" for `api(…)` itself. */
  member: string;
  name: string;
  statement: ts.Node;
  service: string;
}

/** Reads one endpoint as Encore does; null after a problem that leaves nothing to describe. */
export function parseEndpoint(found: EndpointCall, builder: SchemaBuilder): EndpointMeta | null {
  const { problems } = builder;
  const { call, member, name, service } = found;
  const kind = member === "" ? "typed" : KINDS[member];
  if (!kind) {
    problems.at(
      call,
      `"api.${member}" is not supported by this host; use api(), api.raw or the streams (serve files from a raw endpoint).`,
    );
    return null;
  }
  const [config, handler] = call.arguments;
  if (!config || !handler) {
    problems.at(call, `The endpoint "${name}" needs a configuration object and a handler function.`);
    return null;
  }
  const options = readOptions(config, kind, name, problems);
  const parsed = parsePath(options.path ?? `/${service}.${name}`);
  if (typeof parsed === "string") {
    problems.at(config, parsed);
    return null;
  }
  const meta: EndpointMeta = {
    service,
    name,
    kind,
    methods: kind === "typed" || kind === "raw" ? options.methods : ["GET"],
    path: parsed,
    expose: options.expose,
    auth: options.auth,
    sensitive: options.sensitive,
    tags: options.tags,
    bodyLimit: options.bodyLimit,
    doc: docOf(found.statement),
    request: null,
    inbound: null,
    response: null,
    outbound: null,
    source: problems.ref(call),
  };
  if (kind === "raw") return { ...meta, ...documentedTypes(meta.doc, call, builder) };
  const types = kind === "typed" ? typedTypes(call, handler, builder) : streamTypes(call, handler, kind, builder);
  if (!types) return null;
  return { ...meta, ...describe(types, meta, found, builder) };
}

/** `{Type}` of `@openapi-request` and `@openapi-response` means what it would mean in code beside the endpoint. */
function documentedTypes(doc: string, call: ts.Node, builder: SchemaBuilder): Pick<EndpointMeta, "documentedTypes"> {
  const named = new Set(
    [...doc.matchAll(/^\s*@openapi-re(?:quest|sponse)\s[^{\n]*\{(\w+)\}/gm)].map(([, name]) => name),
  );
  if (named.size === 0) return {};
  const { checker } = builder;
  const found: Record<string, string> = {};
  for (const symbol of checker.getSymbolsInScope(call, ts.SymbolFlags.Type | ts.SymbolFlags.Alias)) {
    if (!named.has(symbol.name)) continue;
    const type = checker.getDeclaredTypeOfSymbol(
      symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
    );
    const schema = builder.of(type, undefined, call);
    if (schema.kind === "ref") found[symbol.name] = schema.name;
  }
  return { documentedTypes: found };
}

interface EndpointTypes {
  request: NamedUse | null;
  inbound: NamedUse | null;
  outbound: NamedUse | null;
  response: NamedUse | null;
}

function describe(
  types: EndpointTypes,
  meta: EndpointMeta,
  found: EndpointCall,
  builder: SchemaBuilder,
): Partial<EndpointMeta> {
  const request: RequestField[] | null = types.request && requestFields(types.request, meta.path, builder);
  const inbound: Schema | null = types.inbound && messageSchema(types.inbound, builder);
  const outbound: Schema | null = types.outbound && messageSchema(types.outbound, builder);
  const response: ResponseField[] | null = types.response && responseFields(types.response, builder);
  checkPathParameters(meta.path, request, found, builder);
  checkQueryTypes(meta, request, builder);
  const responseType = types.response && typeName(types.response, builder);
  return { request, inbound, outbound, response, ...(responseType ? { responseType } : {}) };
}

/** The name of a response type, so that documents can call it by it. */
function typeName(use: NamedUse, builder: SchemaBuilder): string | null {
  if (use.type.flags & ts.TypeFlags.Void) return null;
  const schema = builder.of(use.type, use.node, use.node);
  return schema.kind === "ref" ? schema.name : null;
}

function checkPathParameters(
  path: PathSegment[],
  request: RequestField[] | null,
  found: EndpointCall,
  builder: SchemaBuilder,
): void {
  for (const segment of path)
    if (
      segment.kind !== "literal" &&
      !request?.some((field) => field.place.in === "path" && field.name === segment.name)
    )
      builder.problems.at(
        found.call,
        `The path parameter "${segment.name}" of "${found.name}" is not a field of its request type.`,
      );
}

function checkQueryTypes(meta: EndpointMeta, request: RequestField[] | null, builder: SchemaBuilder): void {
  const bodiless =
    meta.methods.includes("*") || meta.methods.some((method) => !["POST", "PUT", "PATCH"].includes(method));
  const isValue = (schema: Schema): boolean => {
    switch (schema.kind) {
      case "ref": {
        const named = builder.types[schema.name];
        return named ? isValue(named.schema) : true;
      }
      case "array":
        return isValue(schema.items);
      case "union":
        return schema.variants.every(isValue);
      default:
        return !["object", "record", "tuple"].includes(schema.kind);
    }
  };
  for (const field of request ?? []) {
    const inQuery = field.place.in === "query" || (field.place.in === "auto" && bodiless);
    if (inQuery && !isValue(field.schema))
      builder.problems.add(
        meta.source,
        `The field "${field.name}" of "${meta.name}" travels in the query (${meta.methods.join(", ")}) and cannot be an object there.`,
      );
  }
}

/** From the handler's own annotations, else from the type arguments of `api<Request, Response>`: nothing is inferred, as in Encore. */
function typedTypes(call: ts.CallExpression, handler: ts.Expression, builder: SchemaBuilder): EndpointTypes | null {
  const fn = unwrap(handler);
  const inline = ts.isArrowFunction(fn) || ts.isFunctionExpression(fn) ? fn : null;
  if (inline?.typeParameters) {
    builder.problems.at(inline, "An endpoint's handler cannot have type parameters.");
    return null;
  }
  const [first, second] = call.typeArguments ?? [];
  const request = inline?.parameters[0]?.type ?? first;
  const response = inline?.type ?? second;
  return {
    request: request ? use(request, builder) : null,
    response: response ? unpromised(use(response, builder), builder) : null,
    inbound: null,
    outbound: null,
  };
}

function streamTypes(
  call: ts.CallExpression,
  handler: ts.Expression,
  kind: "streamIn" | "streamOut" | "streamInOut",
  builder: SchemaBuilder,
): EndpointTypes | null {
  const fn = unwrap(handler);
  const inline = ts.isArrowFunction(fn) || ts.isFunctionExpression(fn) ? fn : null;
  if (inline?.typeParameters) {
    builder.problems.at(inline, "A stream's handler cannot have type parameters.");
    return null;
  }
  const args = [...(call.typeArguments ?? [])];
  const handshakes = inline?.parameters.length === 2 ? 1 : 0;
  const [least, most] = kind === "streamInOut" ? [2, 2] : kind === "streamOut" ? [1, 1] : [1, 2];
  if (args.length < least + handshakes || args.length > most + handshakes) {
    const wanted = least === most ? `${least + handshakes}` : `${least + handshakes} or ${most + handshakes}`;
    builder.problems.at(
      call,
      `api.${kind} needs ${wanted} type arguments here${handshakes ? " (the handshake's first)" : ""}, found ${args.length}.`,
    );
    return null;
  }
  const handshake = handshakes ? args.shift() : undefined;
  const inbound = kind === "streamOut" ? undefined : args.shift();
  const outbound = args.shift() ?? (kind === "streamIn" ? inline?.type : undefined);
  return {
    request: handshake ? use(handshake, builder) : null,
    inbound: inbound ? use(inbound, builder) : null,
    outbound: outbound ? unpromised(use(outbound, builder), builder) : null,
    response: null,
  };
}

function use(node: ts.TypeNode, builder: SchemaBuilder): NamedUse {
  return { node, type: builder.checker.getTypeFromTypeNode(node) };
}

/** `Promise<X>` as `X`. */
function unpromised(found: NamedUse, builder: SchemaBuilder): NamedUse {
  if (found.type.symbol?.name !== "Promise" || !(found.type.flags & ts.TypeFlags.Object)) return found;
  const [type] = builder.checker.getTypeArguments(found.type as ts.TypeReference);
  const node = ts.isTypeReferenceNode(found.node) ? found.node.typeArguments?.[0] : undefined;
  return type ? { type, node: node ?? found.node } : found;
}

interface Options {
  methods: string[];
  path: string | null;
  expose: boolean;
  auth: boolean;
  sensitive: boolean;
  tags: string[];
  bodyLimit: number | null;
}

function readOptions(config: ts.Expression, kind: EndpointKind, name: string, problems: Problems): Options {
  const properties = objectProperties(config, `The configuration of "${name}"`, problems);
  const wrong = (key: string, what: string): void =>
    problems.at(
      properties.get(key) ?? config,
      `"${key}" of "${name}" must be ${what}, because Encore reads it without running the code.`,
    );
  const value = (key: string) => {
    const node = properties.get(key);
    return node && literalOf(node);
  };
  const flag = (key: string): boolean => {
    const found = value(key);
    if (properties.has(key) && typeof found !== "boolean") wrong(key, "true or false");
    return found === true;
  };
  for (const [key, node] of properties)
    if (!OPTIONS.has(key)) problems.at(node, `"${key}" of "${name}" is not an option of Encore's endpoints.`);

  const path = value("path");
  if (properties.has("path") && typeof path !== "string") wrong("path", "a string literal");
  const tags = value("tags");
  const tagList = Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
  if (properties.has("tags") && (!Array.isArray(tags) || tagList.length < tags.length))
    wrong("tags", "an array of string literals");
  const limit = value("bodyLimit");
  const limitFits = limit === null || (typeof limit === "number" && Number.isSafeInteger(limit) && limit >= 0);
  if (properties.has("bodyLimit") && !limitFits) wrong("bodyLimit", "a number of bytes or null");
  return {
    methods: readMethods(properties.get("method"), kind, name, problems),
    path: typeof path === "string" ? path : null,
    expose: flag("expose"),
    auth: flag("auth"),
    sensitive: flag("sensitive"),
    tags: tagList,
    bodyLimit: properties.has("bodyLimit") && limitFits ? (limit as number | null) : BODY_LIMIT_BYTES,
  };
}

function readMethods(node: ts.Expression | undefined, kind: EndpointKind, name: string, problems: Problems): string[] {
  if (!node || kind === "streamIn" || kind === "streamOut" || kind === "streamInOut") return ["POST"];
  const found = literalOf(node);
  const list = Array.isArray(found) ? found : [found];
  const methods = list.filter((method) => typeof method === "string");
  const unknown = methods.find((method) => method !== "*" && !METHODS.includes(method));
  if (methods.length < list.length || methods.length === 0)
    problems.at(
      node,
      `"method" of "${name}" must be a string literal or an array of them, because Encore reads it without running the code.`,
    );
  else if (unknown)
    problems.at(node, `"${unknown}" is not a method "${name}" can have; use ${METHODS.join(", ")} or "*".`);
  else if (methods.includes("*") && methods.length > 1)
    problems.at(node, `"method" of "${name}" cannot mix "*" with other methods.`);
  return METHODS.filter((method) => methods.includes(method)).concat(methods.includes("*") ? ["*"] : []);
}
