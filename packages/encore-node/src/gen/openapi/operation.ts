import type { AppMeta, EndpointMeta, NamedType, ObjectField, RequestField, ResponseField } from "../../meta.js";
import { type DocComment, type DocTag, parseDoc } from "./doc-comment.js";
import { errorStatuses, meaningOf, statusOf } from "./errors.js";
import { exampleOf, exampleOfFields, literal } from "./examples.js";
import { described, type JsonSchema, jsonSchema, objectSchema, SCHEMAS } from "./json-schema.js";

const BODY_METHODS = new Set(["POST", "PUT", "PATCH"]);

/** What an operation needs to know of the document it is in. */
export interface DocumentContext {
  meta: AppMeta;
  /** Adds a schema under a free name like `wanted`, and gives a reference to it. */
  addSchema(wanted: string, schema: JsonSchema): JsonSchema;
  security: Record<string, string[]>[];
  operationId(endpoint: EndpointMeta, method: string): string;
}

/** A doc tag that cannot be understood, with the endpoint it is on. */
export class DocError extends Error {
  override name = "DocError";

  constructor(endpoint: EndpointMeta, sentence: string) {
    super(`${endpoint.source.file}:${endpoint.source.line}: ${sentence}`);
  }
}

/** One endpoint called with one method. */
export function operation(endpoint: EndpointMeta, method: string, context: DocumentContext): Record<string, unknown> {
  const doc = parseDoc(endpoint.doc);
  const stream = streamExtension(endpoint, context);
  const body = endpoint.kind === "raw" ? rawBody(endpoint, doc, context) : typedBody(endpoint, method, doc, context);
  return {
    operationId: context.operationId(endpoint, method),
    tags: [endpoint.service],
    ...(doc.summary ? { summary: doc.summary } : {}),
    ...(doc.description && doc.description !== doc.summary ? { description: doc.description } : {}),
    ...(doc.tags.some((tag) => tag.name === "deprecated") ? { deprecated: true } : {}),
    security: endpoint.auth ? context.security : [{}, ...context.security],
    parameters: [...typedParameters(endpoint, method, context.meta.types), ...taggedParameters(endpoint, doc)],
    ...(body ? { requestBody: body } : {}),
    responses: { ...successes(endpoint, doc, context), ...errors(endpoint, doc) },
    ...(stream ? { "x-encore-stream": stream } : {}),
  };
}

function typedParameters(endpoint: EndpointMeta, method: string, types: Record<string, NamedType>): unknown[] {
  const typed = (endpoint.request ?? []).flatMap((field) => {
    const place = placeOf(field, endpoint, method);
    if (place === "body") return [];
    const { description, tags } = parseDoc(field.doc);
    const deprecated = tags.some((tag) => tag.name === "deprecated");
    return [
      {
        name: field.place.name,
        in: place,
        required: place === "path" || !field.optional,
        ...(description ? { description } : {}),
        ...(deprecated ? { deprecated } : {}),
        schema: jsonSchema(field.schema),
        example: exampleOf(field.schema, field.name, field.doc, types),
      },
    ];
  });
  if (endpoint.kind !== "raw") return typed;
  const params = endpoint.path.filter((segment) => segment.kind !== "literal");
  return params.map(({ name }) => ({ name, in: "path", required: true, schema: { type: "string" } }));
}

/** `@openapi-query cursor Where to go on.` and `@openapi-header Last-Event-ID …`; `!` behind the name means required. */
function taggedParameters(endpoint: EndpointMeta, doc: DocComment): unknown[] {
  return doc.tags.flatMap((tag) => {
    if (tag.name !== "openapi-query" && tag.name !== "openapi-header" && tag.name !== "openapi-path") return [];
    const [, name, mark, description] = /^([^\s!]+)(!?)\s*(.*)$/s.exec(joined(tag)) ?? [];
    if (!name) throw new DocError(endpoint, `@${tag.name} needs a name: "@${tag.name} <name> <description>".`);
    const place = tag.name.slice("openapi-".length);
    // A path parameter is there already; the tag only describes it.
    if (place === "path") return [];
    return [
      { name, in: place, required: mark === "!", ...(description ? { description } : {}), schema: { type: "string" } },
    ];
  });
}

function placeOf(
  field: RequestField,
  endpoint: EndpointMeta,
  method: string,
): "path" | "query" | "header" | "cookie" | "body" {
  if (field.place.in !== "auto") return field.place.in;
  const isStream = endpoint.kind !== "typed" && endpoint.kind !== "raw";
  return BODY_METHODS.has(method) && !isStream ? "body" : "query";
}

function typedBody(endpoint: EndpointMeta, method: string, doc: DocComment, context: DocumentContext): unknown {
  const fields = (endpoint.request ?? []).filter((field) => placeOf(field, endpoint, method) === "body").map(bodyField);
  if (fields.length === 0) return null;
  const schema = context.addSchema(`${capital(endpoint.name)}Request`, objectSchema(fields));
  const written = exampleTag(endpoint, doc, "request");
  return {
    required: true,
    content: { "application/json": { schema, example: written ?? exampleOfFields(fields, context.meta.types) } },
  };
}

/** `@openapi-request application/json {TypeName} What is sent.`, with an example in the lines below. */
function rawBody(endpoint: EndpointMeta, doc: DocComment, context: DocumentContext): unknown {
  const tags = doc.tags.filter((tag) => tag.name === "openapi-request");
  if (tags.length === 0) return null;
  const parsed = tags.map((tag) => parseMedia(endpoint, tag, tag.text, context));
  const description = parsed
    .map((media) => media.description)
    .filter(Boolean)
    .join("\n\n");
  return {
    ...(description ? { description } : {}),
    required: true,
    content: Object.fromEntries(parsed.map((media) => [media.type, media.content])),
  };
}

function successes(endpoint: EndpointMeta, doc: DocComment, context: DocumentContext): Record<string, unknown> {
  if (endpoint.kind === "raw") return rawResponses(endpoint, doc, context);
  if (endpoint.kind !== "typed")
    return { "101": { description: "The connection becomes a WebSocket; messages are JSON, see x-encore-stream." } };
  const fields = endpoint.response ?? [];
  const description = doc.tags.find((tag) => tag.name === "returns");
  const chooses = fields.some((field) => field.place.in === "status");
  const text =
    (description && joined(description)) || (fields.length > 0 ? "It worked." : "It worked; the body is empty.");
  const response: Record<string, unknown> = {
    description: chooses ? `${text} The endpoint may choose another status.` : text,
  };
  const headers = responseHeaders(fields);
  if (Object.keys(headers).length > 0) response.headers = headers;
  const bodyFields = fields.filter((field) => field.place.in === "body").map(bodyField);
  if (bodyFields.length > 0) {
    const { types } = context.meta;
    const name = bodyFields.length === fields.length ? endpoint.responseType : undefined;
    const schema = name
      ? { $ref: `${SCHEMAS}${name}` }
      : context.addSchema(`${capital(endpoint.name)}Response`, objectSchema(bodyFields));
    const made = name ? exampleOf({ kind: "ref", name }, name, "", types) : exampleOfFields(bodyFields, types);
    const example = exampleTag(endpoint, doc, "response") ?? made;
    response.content = { "application/json": { schema, example } };
  }
  return { "200": response };
}

/**
 * `@openapi-response 200 text/event-stream {TypeName} What comes back.`, with an example in the lines below. The status is 200 when left out,
 * a status without a media type has no body. A raw endpoint without the tag answers "anything".
 */
function rawResponses(endpoint: EndpointMeta, doc: DocComment, context: DocumentContext): Record<string, unknown> {
  const responses: Record<string, { description: string; content?: Record<string, unknown>; headers?: object }> = {};
  for (const tag of doc.tags) {
    if (tag.name !== "openapi-response") continue;
    const [, status = "200", rest = ""] = /^(?:(\d{3})\b)?\s*(.*)$/s.exec(tag.text) ?? [];
    const known = responses[status];
    if (!/^[\w.+-]+\/[\w.+*-]+/.test(rest)) {
      responses[status] = known ?? { description: rest || "No body." };
      continue;
    }
    const media = parseMedia(endpoint, tag, rest, context);
    const description = known ? known.description : media.description || "It worked.";
    responses[status] = { description, content: { ...known?.content, [media.type]: media.content } };
  }
  for (const tag of doc.tags) {
    if (tag.name !== "openapi-response-header") continue;
    const [, status = "200", name, description] = /^(?:(\d{3})\b)?\s*(\S+)\s*(.*)$/s.exec(joined(tag)) ?? [];
    const response = responses[status];
    if (!name || !response)
      throw new DocError(endpoint, `@${tag.name} needs a name, and an @openapi-response with its status.`);
    const header = { ...(description ? { description } : {}), required: false, schema: { type: "string" } };
    response.headers = { ...response.headers, [name]: header };
  }
  if (Object.keys(responses).length > 0) return responses;
  return { "200": { description: "What the endpoint writes.", content: { "*/*": {} } } };
}

interface Media {
  type: string;
  description: string;
  content: Record<string, unknown>;
}

function parseMedia(endpoint: EndpointMeta, tag: DocTag, text: string, context: DocumentContext): Media {
  const [, type, written, description = ""] = /^([\w.+-]+\/[\w.+*-]+)\s*(?:\{(\w+)\})?\s*(.*)$/s.exec(text) ?? [];
  if (!type)
    throw new DocError(endpoint, `@${tag.name} needs a media type, as in "@${tag.name} text/plain What it is.".`);
  const name = written && (endpoint.documentedTypes?.[written] ?? written);
  if (name && !context.meta.types[name])
    throw new DocError(
      endpoint,
      `@${tag.name} names the type {${written}}, which its file does not know and no typed endpoint or stream of the app uses.`,
    );
  const named = name ? context.meta.types[name] : undefined;
  const { prose, example } = splitBlock(tag.block);
  const schema: JsonSchema = name ? { $ref: `${SCHEMAS}${name}` } : type.startsWith("text/") ? { type: "string" } : {};
  const made = named ? exampleOf(named.schema, name ?? "", named.doc, context.meta.types) : undefined;
  const shown = example === undefined ? made : type.includes("json") ? literal(example) : example;
  const content = { schema, ...(shown === undefined ? {} : { example: shown }) };
  return { type, description: [description, prose].filter(Boolean).join(" "), content };
}

/** Below a tag: a fenced block is an example, everything else goes on with the description. */
function splitBlock(block: string): { prose: string; example: string | undefined } {
  const [fence, inner] = /```[^\n]*\n([\s\S]*?)\n?```/.exec(block) ?? [];
  const prose = (fence ? block.replace(fence, "") : block).replace(/\s*\n\s*/g, " ").trim();
  return { prose, example: inner };
}

function responseHeaders(fields: ResponseField[]): Record<string, unknown> {
  const headers: Record<string, unknown> = {};
  for (const field of fields) {
    if (field.place.in === "header")
      headers[field.place.name] = {
        ...described({}, field.doc),
        required: !field.optional,
        schema: jsonSchema(field.schema),
      };
    if (field.place.in === "cookie")
      headers["Set-Cookie"] = { description: `Sets the cookie "${field.place.name}".`, schema: { type: "string" } };
  }
  return headers;
}

/** Any status can come; `@throws not_found When …` says when one does. */
function errors(endpoint: EndpointMeta, doc: DocComment): Record<string, unknown> {
  const described = new Map<string, string[]>();
  for (const tag of doc.tags) {
    if (tag.name !== "throws") continue;
    const [, code = "", text = ""] = /^\{?(\w+)\}?\s*(.*)$/s.exec(joined(tag)) ?? [];
    const status = statusOf(code);
    if (!status)
      throw new DocError(
        endpoint,
        `@throws needs one of Encore's error codes, as in "@throws not_found When …", not "${code}".`,
      );
    described.set(status, [...(described.get(status) ?? []), `\`${code}\`: ${text || meaningOf(code)}`]);
  }
  return Object.fromEntries(
    errorStatuses.map((status) => {
      const reference = { $ref: `#/components/responses/Error${status}` };
      const text = described.get(status);
      return [status, text ? { ...reference, description: text.join("\n\n") } : reference];
    }),
  );
}

function streamExtension(endpoint: EndpointMeta, context: DocumentContext): Record<string, unknown> | null {
  if (endpoint.kind === "typed" || endpoint.kind === "raw") return null;
  const { inbound, outbound } = endpoint;
  const message = (schema: NonNullable<typeof inbound>) => ({
    schema: jsonSchema(schema),
    example: exampleOf(schema, "message", "", context.meta.types),
  });
  return {
    direction: { streamIn: "in", streamOut: "out", streamInOut: "inout" }[endpoint.kind],
    ...(inbound ? { inbound: message(inbound) } : {}),
    ...(outbound ? { outbound: message(outbound) } : {}),
  };
}

function exampleTag(endpoint: EndpointMeta, doc: DocComment, which: "request" | "response"): unknown {
  const tag = doc.tags.find((found) => found.name === "example" && found.text.startsWith(which));
  if (!tag) return undefined;
  const rest = tag.text.slice(which.length).trim();
  const written = splitBlock(tag.block).example ?? `${rest}${tag.block}`;
  try {
    return JSON.parse(written);
  } catch {
    throw new DocError(endpoint, `The block "@example ${which}" of "${endpoint.name}" is not valid JSON.`);
  }
}

function bodyField(field: RequestField | ResponseField): ObjectField {
  return { name: field.name, optional: field.optional, schema: field.schema, doc: field.doc };
}

/** A tag's line and the lines below it, as one. */
function joined(tag: DocTag): string {
  return [tag.text, tag.block]
    .filter(Boolean)
    .join(" ")
    .replace(/\s*\n\s*/g, " ");
}

function capital(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
