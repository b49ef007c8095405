import path from "node:path";
import type { AppMeta, EndpointMeta, ServiceMeta } from "../meta.js";

/** A generated file: path below `encore.gen`, and its text. */
export interface GeneratedFile {
  path: string;
  text: string;
}

const HEADER = "// Generated from the app's declarations. Do not edit: every build writes it anew.\n";

/** All of `encore.gen`: what `~encore/auth` and `~encore/clients` mean, and the entrypoint that registers every handler. */
export function generateCode(meta: AppMeta): GeneratedFile[] {
  return [
    { path: "auth/index.ts", text: `${HEADER}export { type AuthData, getAuthData } from "../internal/auth/auth";\n` },
    { path: "internal/auth/auth.ts", text: authModule(meta) },
    { path: "clients/index.js", text: clientIndex(meta, ".js") },
    { path: "clients/index.d.ts", text: clientIndex(meta, "") },
    ...meta.services.flatMap((service) => clientModules(meta, service)),
    { path: "internal/entrypoints/combined/main.ts", text: entrypoint(meta) },
  ];
}

/** A service's name as an identifier: `my-service` is `my_service`, as in Encore. */
export function serviceIdent(name: string): string {
  return name.replace(/-/g, "_");
}

/** How a generated file `depth` folders below the app root imports one of the app's files. */
function importPath(file: string, depth: number): string {
  return JSON.stringify(path.posix.join(...Array<string>(depth).fill(".."), file.replace(/\.ts$/, ".js")));
}

function authModule(meta: AppMeta): string {
  const handler = meta.gateway?.authHandler;
  const callOpts = `
declare module "encore.dev/api" {
  interface CallOpts {
    authData?: AuthData;
  }
}
`;
  if (!handler)
    return `${HEADER}export type AuthData = null;

/** There is no auth handler, so there is nothing to get. */
export function getAuthData(): AuthData {
  throw new Error("getAuthData() needs an auth handler: declare one and give it to a Gateway.");
}
${callOpts}`;
  return `${HEADER}import { getAuthData as current } from "encore.dev/internal/codegen/auth";
import type { ${handler.name} } from ${importPath(handler.source.file, 3)};

export type AuthData = NonNullable<Awaited<ReturnType<typeof ${handler.name}>>>;

/** Who is calling; null for a request without valid credentials. */
export function getAuthData(): AuthData | null {
  return current<AuthData>();
}
${callOpts}`;
}

function clientIndex(meta: AppMeta, extension: string): string {
  return `${HEADER}${meta.services
    .map(
      (service) =>
        `export * as ${serviceIdent(service.name)} from "../internal/clients/${service.name}/endpoints${extension}";\n`,
    )
    .join("")}${meta.services.length === 0 ? "export {};\n" : ""}`;
}

function clientModules(meta: AppMeta, service: ServiceMeta): GeneratedFile[] {
  const endpoints = meta.endpoints.filter((endpoint) => endpoint.service === service.name);
  const folder = `internal/clients/${service.name}`;
  return [
    { path: `${folder}/endpoints.js`, text: clientCode(service, endpoints) },
    { path: `${folder}/endpoints.d.ts`, text: clientTypes(endpoints) },
  ];
}

function clientCode(service: ServiceMeta, endpoints: EndpointMeta[]): string {
  const functions = endpoints.map((endpoint) => {
    const call = endpoint.kind === "typed" || endpoint.kind === "raw" ? "apiCall" : endpoint.kind;
    const target = `${JSON.stringify(service.name)}, ${JSON.stringify(endpoint.name)}`;
    const parameters = endpoint.request ? "params, opts" : "opts";
    const data = endpoint.request ? "params" : "undefined";
    return `export async function ${endpoint.name}(${parameters}) {
  return ${call}(${target}, ${data}, opts);
}
`;
  });
  return `${HEADER}import { apiCall, streamIn, streamInOut, streamOut } from "encore.dev/internal/codegen/api";

${functions.join("\n")}
export class Client {
  constructor() {
${endpoints.map(({ name }) => `    this.${name} = ${name};\n`).join("")}  }
}

let client;

export function ref() {
  client ??= new Client();
  return client;
}
`;
}

function clientTypes(endpoints: EndpointMeta[]): string {
  const declarations = endpoints.map((endpoint) => {
    const handler = `${endpoint.name}_handler`;
    return `import type { ${endpoint.name} as ${handler} } from ${importPath(endpoint.source.file, 4)};
type ${endpoint.name}_Type = ${CLIENT_TYPES[endpoint.kind]}<typeof ${handler}>;
export declare const ${endpoint.name}: ${endpoint.name}_Type;
`;
  });
  return `${HEADER}import type {
  CallOpts,
  StreamIn,
  StreamInHandlerFn,
  StreamInOut,
  StreamInOutHandlerFn,
  StreamOutHandlerFn,
  StreamOutWithResponse,
} from "encore.dev/api";

type Call<T> = T extends (...args: infer P) => infer R ? (...args: [...P, opts?: CallOpts]) => R : never;
type Open<T, S> = T extends (...args: infer P) => unknown
  ? P extends [infer H, unknown]
    ? (data: H, opts?: CallOpts) => Promise<S>
    : (opts?: CallOpts) => Promise<S>
  : never;
type CallInOut<T> = T extends StreamInOutHandlerFn<infer _H, infer In, infer Out> ? Open<T, StreamInOut<Out, In>> : never;
type CallIn<T> = T extends StreamInHandlerFn<infer _H, infer In, infer Out> ? Open<T, StreamOutWithResponse<In, Out>> : never;
type CallOut<T> = T extends StreamOutHandlerFn<infer _H, infer Out> ? Open<T, StreamIn<Out>> : never;

${declarations.join("\n")}
export class Client {
  private constructor();
${endpoints.map(({ name }) => `  readonly ${name}: ${name}_Type;\n`).join("")}}

export declare function ref(): Client;
`;
}

const CLIENT_TYPES: Record<EndpointMeta["kind"], string> = {
  typed: "Call",
  raw: "Call",
  streamIn: "CallIn",
  streamOut: "CallOut",
  streamInOut: "CallInOut",
};

/** Imports every endpoint, gateway and service file of the app and hands them to the runtime. */
function entrypoint(meta: AppMeta): string {
  const imports: string[] = [];
  const gateway = meta.gateway;
  if (gateway) imports.push(`import { ${gateway.name} as gateway } from ${importPath(gateway.source.file, 4)};`);
  const declared = meta.services.filter((service) => service.source.file.endsWith("encore.service.ts"));
  for (const service of declared)
    imports.push(`import ${serviceIdent(service.name)}_service from ${importPath(service.source.file, 4)};`);
  meta.endpoints.forEach((endpoint, index) => {
    imports.push(`import { ${endpoint.name} as handler${index} } from ${importPath(endpoint.source.file, 4)};`);
  });
  const handlers = meta.endpoints.map((endpoint, index) => {
    const { service, name, kind, expose, auth, tags } = endpoint;
    const streamingRequest = kind === "streamIn" || kind === "streamInOut";
    const streamingResponse = kind === "streamOut" || kind === "streamInOut";
    const raw = kind === "raw";
    const route = { service, name, raw, streamingRequest, streamingResponse };
    const options = { expose, auth, isRaw: raw, isStream: streamingRequest || streamingResponse, tags };
    const hasService = declared.some((found) => found.name === service);
    const middlewares = hasService ? `${serviceIdent(service)}_service.cfg.middlewares ?? []` : "[]";
    return `  {
    apiRoute: { ...${JSON.stringify(route)}, handler: handler${index} },
    endpointOptions: ${JSON.stringify(options)},
    middlewares: ${middlewares},
  },`;
  });
  return `${HEADER}import { type Handler, registerGateways, registerHandlers, run } from "encore.dev/internal/codegen/appinit";
${imports.join("\n")}

const handlers: Handler[] = [
${handlers.join("\n")}
];

registerGateways([${gateway ? "gateway" : ""}]);
registerHandlers(handlers);

await run(import.meta.url);
`;
}
