/**
 * What the parser knows of an Encore.ts application: the one thing it hands to the code generators and to the runtime.
 * Plain JSON, so that a build can be written to disk and started later without the TypeScript compiler.
 */

/** Where a declaration stands, for messages: file relative to the app root, 1-based line. */
export interface SourceRef {
  file: string;
  line: number;
}

export interface AppMeta {
  /** `id` of `encore.app`, often empty. */
  appId: string;
  services: ServiceMeta[];
  endpoints: EndpointMeta[];
  gateway: GatewayMeta | null;
  databases: DatabaseMeta[];
  /** Names given to `secret()`, unique, sorted. */
  secrets: string[];
  /** Named interfaces and type aliases that schemas refer to by `{ kind: "ref" }`, by unique name. */
  types: Record<string, NamedType>;
  cors: CorsConfig;
}

/** `global_cors` of `encore.app`; an absent list means Encore's default. */
export interface CorsConfig {
  allowHeaders?: string[];
  exposeHeaders?: string[];
  allowOriginsWithoutCredentials?: string[];
  allowOriginsWithCredentials?: string[];
  debug?: boolean;
}

export interface ServiceMeta {
  name: string;
  /** Folder of `encore.service.ts`, relative to the app root. */
  dir: string;
  middlewares: number;
  source: SourceRef;
}

export type EndpointKind = "typed" | "raw" | "streamIn" | "streamOut" | "streamInOut";

export interface EndpointMeta {
  service: string;
  /** The exported variable's name: Encore's endpoint name. */
  name: string;
  kind: EndpointKind;
  /** As written; `["*"]` for any. Streams have none of their own and answer GET upgrades. */
  methods: string[];
  path: PathSegment[];
  expose: boolean;
  auth: boolean;
  sensitive: boolean;
  tags: string[];
  /** Bytes; null is unlimited. Encore's default is 2 MiB. */
  bodyLimit: number | null;
  /** Doc comment above the endpoint, for OpenAPI. */
  doc: string;
  /** Request (or, for streams, handshake) fields, each with its place on the wire; null: no request type. */
  request: RequestField[] | null;
  /** Streams: one inbound message. */
  inbound: Schema | null;
  /** Response fields (typed), or one outbound message as `outbound` (streams); null: void. */
  response: ResponseField[] | null;
  outbound: Schema | null;
  /** Name in `types` of the response type, where it has one: documents call it by it. */
  responseType?: string;
  /** Raw endpoints: the types that their doc tags name, and the name in `types` of each. */
  documentedTypes?: Record<string, string>;
  /** File that exports the endpoint, relative to the app root. */
  source: SourceRef;
}

export type PathSegment =
  | { kind: "literal"; value: string }
  | { kind: "param"; name: string; type: "string" | "number" | "boolean" }
  | { kind: "wildcard"; name: string }
  | { kind: "fallback"; name: string };

export type FieldPlace =
  | { in: "path"; name: string }
  | { in: "query"; name: string }
  | { in: "header"; name: string }
  | { in: "cookie"; name: string }
  | { in: "body"; name: string };

export interface RequestField {
  /** Property name in the handler's request object. */
  name: string;
  optional: boolean;
  /** What travels; for a cookie the schema of its `value`. May be a `ref`. */
  schema: Schema;
  /**
   * Explicit places (`Header<>`, `Query<>`, `Cookie<>`, path parameter) hold for every method. A field without one is `auto`:
   * query for GET, HEAD and DELETE, body otherwise; the runtime decides by the method of the request.
   */
  place: FieldPlace | { in: "auto"; name: string };
  doc: string;
}

export interface ResponseField {
  name: string;
  optional: boolean;
  schema: Schema;
  place:
    | { in: "body"; name: string }
    | { in: "header"; name: string }
    | { in: "cookie"; name: string }
    | { in: "status" };
  doc: string;
}

export interface GatewayMeta {
  name: string;
  authHandler: {
    service: string;
    name: string;
    params: RequestField[];
    /** AuthData, for `~encore/auth`. */
    authData: Schema;
    source: SourceRef;
  } | null;
  source: SourceRef;
}

export interface DatabaseMeta {
  name: string;
  /** Folder relative to the app root; null for `SQLDatabase.named` alone. */
  migrations: string | null;
  source: SourceRef;
}

export interface NamedType {
  schema: Schema;
  doc: string;
}

export interface ObjectField {
  name: string;
  optional: boolean;
  schema: Schema;
  doc: string;
}

/** The subset of TypeScript that Encore's schema has. `rules` come from `encore.dev/validate`. */
export type Schema = { rules?: Rule } & (
  | { kind: "any" }
  | { kind: "string" }
  | { kind: "number" }
  | { kind: "boolean" }
  | { kind: "bigint" }
  | { kind: "null" }
  | { kind: "date" }
  | { kind: "decimal" }
  | { kind: "literal"; value: string | number | boolean }
  | { kind: "array"; items: Schema }
  | { kind: "tuple"; items: Schema[] }
  | { kind: "object"; fields: ObjectField[] }
  | { kind: "record"; value: Schema }
  | { kind: "union"; variants: Schema[] }
  | { kind: "ref"; name: string }
);

/** Validation of one value, as `&` and `|` combine the types of `encore.dev/validate`. */
export type Rule =
  | { op: "and"; rules: Rule[] }
  | { op: "or"; rules: Rule[] }
  | { op: "minLen" | "maxLen" | "min" | "max"; value: number }
  | { op: "startsWith" | "endsWith" | "matches"; value: string }
  | { op: "email" | "url" };
