/** An endpoint ready to serve: its schemas compiled, its fields sorted by their place on the wire. */

import type { EndpointMeta, FieldPlace, RequestField, ResponseField } from "../../meta.js";
import type { TextField } from "../schema/header.js";
import { type Node, resolve, type SchemaCompiler, type StructNode, struct } from "../schema/node.js";
import type { Validator } from "../schema/rules.js";
import { METHODS } from "./router.js";

export interface PathParam {
  name: string;
  type: "string" | "number" | "boolean";
  rule: Validator | null;
}

/** The fields of a request, for one group of methods. */
export interface RequestShape {
  params: PathParam[];
  query: StructNode | null;
  headers: TextField[];
  cookies: TextField[];
  body: StructNode | null;
}

export interface ResponseShape {
  body: StructNode | null;
  headers: TextField[];
  cookies: TextField[];
  status: string | null;
}

export interface Endpoint {
  meta: EndpointMeta;
  methods: string[];
  raw: boolean;
  stream: boolean;
  /** GET, HEAD, DELETE and the like; also a stream's handshake. */
  asQuery: RequestShape;
  asBody: RequestShape;
  /** A stream without handshake data hands its handler no payload. */
  hasPayload: boolean;
  response: ResponseShape;
  inbound: StructNode | null;
  outbound: StructNode | null;
  handler: Handler | null;
}

export type Handler = (...args: unknown[]) => unknown;

const BODY_METHODS = new Set(["POST", "PUT", "PATCH"]);

export function shapeFor(endpoint: Endpoint, method: string): RequestShape {
  return BODY_METHODS.has(method) ? endpoint.asBody : endpoint.asQuery;
}

export function compileEndpoint(meta: EndpointMeta, compiler: SchemaCompiler): Endpoint {
  const stream = meta.kind.startsWith("stream");
  const raw = meta.kind === "raw";
  const dynamic = meta.path.some((s) => s.kind !== "literal");
  const methods = stream ? ["GET"] : meta.methods.includes("*") ? [...METHODS] : meta.methods;
  return {
    meta,
    methods,
    raw,
    stream,
    asQuery: requestShape(meta, raw ? null : meta.request, "query", compiler),
    asBody: requestShape(meta, raw ? null : meta.request, "body", compiler),
    hasPayload: !stream || meta.request !== null || dynamic,
    response: responseShape(raw ? null : meta.response, compiler),
    inbound: messageNode(meta.inbound && compiler.compile(meta.inbound)),
    outbound: messageNode(meta.outbound && compiler.compile(meta.outbound)),
    handler: null,
  };
}

/** Encore carries messages that are objects and nothing else. */
function messageNode(node: Node | null): StructNode | null {
  const n = node ? resolve(node) : null;
  return n?.kind === "struct" ? n : null;
}

function textField(f: { name: string; optional: boolean }, wire: string, node: Node): TextField {
  return { name: f.name, wire: wire.toLowerCase(), shown: wire, optional: f.optional, node };
}

export function requestShape(
  meta: Pick<EndpointMeta, "path">,
  fields: RequestField[] | null,
  auto: "query" | "body",
  compiler: SchemaCompiler,
): RequestShape {
  const names = new Set(meta.path.flatMap((s) => (s.kind === "literal" ? [] : [s.name])));
  const shape: RequestShape = { params: [], query: null, headers: [], cookies: [], body: null };
  for (const s of meta.path) {
    if (s.kind === "literal") continue;
    const field = fields?.find((f) => f.name === s.name);
    const node = field ? compiler.compile(field.schema) : null;
    const rule = node?.kind === "validation" ? node.rule : null;
    shape.params.push({ name: s.name, type: s.kind === "param" ? s.type : "string", rule });
  }
  const query: { name: string; optional: boolean; node: Node }[] = [];
  const body: { name: string; optional: boolean; node: Node }[] = [];
  for (const f of fields ?? []) {
    if (names.has(f.name)) continue;
    const node = compiler.compile(f.schema);
    const place: FieldPlace["in"] = f.place.in === "auto" ? auto : f.place.in;
    if (place === "query") query.push({ name: f.name, optional: f.optional, node });
    else if (place === "header") shape.headers.push(textField(f, f.place.name, node));
    else if (place === "cookie") shape.cookies.push(textField(f, f.place.name, node));
    else body.push({ name: f.name, optional: f.optional, node });
  }
  if (query.length > 0) shape.query = struct(query);
  if (body.length > 0) shape.body = struct(body);
  return shape;
}

function responseShape(fields: ResponseField[] | null, compiler: SchemaCompiler): ResponseShape {
  const shape: ResponseShape = { body: null, headers: [], cookies: [], status: null };
  const body: { name: string; optional: boolean; node: Node }[] = [];
  for (const f of fields ?? []) {
    const place = f.place;
    if (place.in === "status") {
      shape.status = f.name;
      continue;
    }
    const node = compiler.compile(f.schema);
    if (place.in === "header") shape.headers.push(textField(f, place.name, node));
    else if (place.in === "cookie") shape.cookies.push(textField(f, place.name, node));
    else body.push({ name: f.name, optional: f.optional, node });
  }
  if (body.length > 0) shape.body = struct(body);
  return shape;
}
