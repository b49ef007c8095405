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
  return encore.${call}(${target}, ${data}, opts);
}
`;
  });
  return `${HEADER}import * as encore from "encore.dev/internal/codegen/api";

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
  return `${HEADER}import type { CallOpts, StreamIn, StreamInOut, StreamOutWithResponse } from "encore.dev/api";

type Call<T> = T extends (...args: infer P) => infer R ? (...args: [...P, opts?: CallOpts]) => R : never;
type Open<T, S> = T extends (...args: infer P) => unknown
  ? P extends [infer H, unknown]
    ? (data: H, opts?: CallOpts) => Promise<S>
    : (opts?: CallOpts) => Promise<S>
  : never;
type Socket<T> = T extends (...args: infer P) => unknown ? (P extends [...unknown[], infer S] ? S : never) : never;
type In<T> = Socket<T> extends { recv: () => Promise<infer M> } ? M : never;
type Out<T> = Socket<T> extends { send: (msg: infer M) => unknown } ? M : never;
type Result<T> = T extends (...args: never[]) => Promise<infer R> ? R : never;
type CallInOut<T> = Open<T, StreamInOut<Out<T>, In<T>>>;
type CallIn<T> = Open<T, StreamOutWithResponse<In<T>, Result<T>>>;
type CallOut<T> = Open<T, StreamIn<Out<T>>>;

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
  const imported = new Map<string, string[]>();
  const take = (file: string, name: string, local: string): string => {
    imported.set(file, [...(imported.get(file) ?? []), name === local ? name : `${name} as ${local}`]);
    return local;
  };
  const gateways = meta.gateway ? [take(meta.gateway.source.file, meta.gateway.name, "gateway")] : [];
  const middlewares = new Map<string, string>();
  for (const { name, source } of meta.services)
    if (source.file.endsWith("encore.service.ts"))
      middlewares.set(name, `${take(source.file, "default", `${serviceIdent(name)}_service`)}.cfg.middlewares ?? []`);
  const handlers = meta.endpoints.map((endpoint) => {
    const { service, name, kind, expose, auth, tags, source } = endpoint;
    const handler = take(source.file, name, `${serviceIdent(service)}_${name}`);
    const streamingRequest = kind === "streamIn" || kind === "streamInOut";
    const streamingResponse = kind === "streamOut" || kind === "streamInOut";
    const raw = kind === "raw";
    const route = { service, name, raw, streamingRequest, streamingResponse };
    const options = { expose, auth, isRaw: raw, isStream: streamingRequest || streamingResponse, tags };
    return `  {
    apiRoute: { ...${JSON.stringify(route)}, handler: ${handler} },
    endpointOptions: ${JSON.stringify(options)},
    middlewares: ${middlewares.get(service) ?? "[]"},
  },
`;
  });
  const imports = [...imported].map(([file, names]) => `import { ${names.join(", ")} } from ${importPath(file, 4)};\n`);
  return `${HEADER}import { type Handler, registerGateways, registerHandlers, run } from "encore.dev/internal/codegen/appinit";
${imports.join("")}
const handlers: Handler[] = [
${handlers.join("")}];

registerGateways([${gateways.join("")}]);
registerHandlers(handlers);

await run(import.meta.url);
`;
}
