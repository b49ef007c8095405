import path from "node:path";
import ts from "typescript";
import type { AppMeta, DatabaseMeta, ServiceMeta } from "../meta.js";
import { parseAuthHandler } from "./auth.js";
import { type EndpointCall, parseEndpoint } from "./endpoint.js";
import { encoreImports, resolveCallee } from "./imports.js";
import type { AppFile } from "./index.js";
import { objectProperties } from "./literals.js";
import { type Problems, relativePath } from "./problems.js";
import type { AppProgram } from "./program.js";
import { parseDatabase, resourceName } from "./resources.js";
import { checkRoutes } from "./routes.js";
import { SchemaBuilder } from "./schema.js";
import { discoverServices, type FoundService, type ServiceClue, serviceOf } from "./services.js";
import { findUses, type Use } from "./uses.js";

/** Everything the app's files declare, put together. `needsPackages`: a type came from a package that was not loaded. */
export function collect(
  app: AppProgram,
  root: string,
  file: AppFile,
  problems: Problems,
  packages: boolean,
): { meta: AppMeta; needsPackages: boolean } {
  const builder = new SchemaBuilder(app.checker, app.program, packages, problems);
  const uses = app.sources.flatMap((source) => findUses(source, encoreImports(source), resolveCallee, problems));
  for (const source of app.sources) {
    for (const { start, messageText } of app.program.getSyntacticDiagnostics(source)) {
      const line = source.getLineAndCharacterOfPosition(start ?? 0).line + 1;
      const text = ts.flattenDiagnosticMessageText(messageText, " ");
      problems.add({ file: relativePath(root, source.fileName), line }, `The file is not valid TypeScript: ${text}`);
    }
  }
  const declared = declareServices(app, uses, problems);
  const services = discoverServices(declared.clues, file.id, problems);
  const inService = (use: Use, what: string): FoundService | null => {
    const found = serviceOf(services, problems.ref(use.node).file);
    if (!found)
      problems.at(use.node, `${what} must be inside the folder of a service (one with an encore.service.ts).`);
    return found;
  };

  const meta: AppMeta = {
    appId: file.id,
    services: services.map(
      (service): ServiceMeta => ({ ...service, middlewares: declared.middlewares.get(service.dir) ?? 0 }),
    ),
    endpoints: [],
    gateway: null,
    databases: [],
    secrets: [],
    types: builder.types,
    cors: file.cors,
  };
  const named: { name: string; use: Use }[] = [];
  const handlers = new Map<ts.Symbol, ReturnType<typeof parseAuthHandler>>();
  const gateways: Use[] = [];
  const secrets = new Set<string>();
  for (const use of uses) {
    switch (use.what) {
      case "endpoint": {
        const service = inService(use, `The endpoint "${use.binding?.name}"`);
        const call = service && endpointCall(use, service.name, problems);
        const endpoint = call && parseEndpoint(call, builder);
        if (endpoint) meta.endpoints.push(endpoint);
        break;
      }
      case "authHandler": {
        const service = inService(use, "The auth handler");
        const symbol = use.binding && app.checker.getSymbolAtLocation(use.binding.node);
        const parsed = service && parseAuthHandler(use, service.name, builder);
        if (!symbol || !parsed) break;
        if (handlers.size > 0) problems.at(use.node, "An app can have one auth handler only.");
        handlers.set(symbol, parsed);
        break;
      }
      case "gateway":
        if (!use.binding?.exported) problems.at(use.node, "A Gateway must be bound to an exported variable.");
        if (gateways.length > 0) problems.at(use.node, "An app can have one Gateway only.");
        inService(use, "A Gateway");
        gateways.push(use);
        break;
      case "database": {
        const database = parseDatabase(use.node as ts.NewExpression, root, problems);
        if (database) addDatabase(meta.databases, database, problems);
        break;
      }
      case "databaseNamed": {
        const name = resourceName(use.node as ts.CallExpression, "a SQLDatabase", problems);
        if (name !== null) named.push({ name, use });
        break;
      }
      case "secret": {
        const name = resourceName(use.node as ts.CallExpression, "a secret", problems);
        if (!use.topLevel)
          problems.at(use.node, "A secret must be declared at the top level of its file, not inside a function.");
        else if (!use.binding) problems.at(use.node, "A secret must be bound to a variable.");
        inService(use, "A secret");
        if (name !== null) secrets.add(name);
        break;
      }
      case "clients":
        inService(use, "Code that calls ~encore/clients");
        break;
    }
  }
  for (const { name, use } of named)
    if (!meta.databases.some((database) => database.name === name))
      problems.at(use.node, `SQLDatabase.named("${name}") refers to a database that is declared nowhere.`);
  for (const use of gateways.slice(0, 1)) meta.gateway = describeGateway(use, handlers, app.checker, problems);

  meta.endpoints.sort(
    (a, b) => order(a.service, b.service) || order(a.source.file, b.source.file) || a.source.line - b.source.line,
  );
  meta.databases.sort((a, b) => order(a.name, b.name));
  meta.secrets = [...secrets].sort();
  checkNames(meta, problems);
  checkRoutes(meta.endpoints, problems);
  meta.types = Object.fromEntries(Object.entries(builder.types).sort(([a], [b]) => order(a, b)));
  return { meta, needsPackages: builder.needsPackages };
}

function declareServices(app: AppProgram, uses: Use[], problems: Problems) {
  const clues: ServiceClue[] = [];
  const middlewares = new Map<string, number>();
  const serviceFiles = new Set<string>();
  for (const use of uses) {
    const source = problems.ref(use.node);
    const dir = path.posix.dirname(source.file) === "." ? "" : path.posix.dirname(source.file);
    if (use.what === "endpoint" || use.what === "gateway" || use.what === "authHandler")
      clues.push({ dir, strong: false, name: null, source });
    if (use.what !== "service") continue;
    const node = use.node as ts.NewExpression;
    if (path.posix.basename(source.file) !== "encore.service.ts") {
      problems.at(node, "A Service can be declared in a file called encore.service.ts only.");
      continue;
    }
    if (serviceFiles.has(source.file)) problems.at(node, "A file can declare one Service only.");
    if (use.binding)
      problems.at(node, 'A Service must not be bound to a variable; write "export default new Service(…)".');
    else if (!ts.isExportAssignment(node.parent))
      problems.at(node, 'A Service must be the default export; write "export default new Service(…)".');
    serviceFiles.add(source.file);
    const name = resourceName(node, "a Service", problems);
    if (name === null) continue;
    const config = node.arguments?.[1];
    const list =
      config && objectProperties(config, `The configuration of the service "${name}"`, problems).get("middlewares");
    middlewares.set(dir, list && ts.isArrayLiteralExpression(list) ? list.elements.length : list ? 1 : 0);
    clues.unshift({ dir, strong: true, name, source });
  }
  for (const file of app.sources) {
    const name = problems.ref(file).file;
    if (path.posix.basename(name) === "encore.service.ts" && !serviceFiles.has(name))
      problems.add({ file: name, line: 1 }, "An encore.service.ts must declare a Service.");
  }
  return { clues, middlewares };
}

function endpointCall(use: Use, service: string, problems: Problems): EndpointCall | null {
  const call = use.node as ts.CallExpression;
  if (!use.binding?.exported || !use.topLevel) {
    problems.at(
      call,
      `An endpoint must be bound to an exported variable at the top level of its file${use.binding ? `; "${use.binding.name}" is not` : ""}.`,
    );
    return null;
  }
  return { call, member: use.members[0] ?? "", name: use.binding.name, statement: use.statement, service };
}

function describeGateway(
  use: Use,
  handlers: Map<ts.Symbol, ReturnType<typeof parseAuthHandler>>,
  checker: ts.TypeChecker,
  problems: Problems,
): AppMeta["gateway"] {
  const node = use.node as ts.NewExpression;
  const config = node.arguments?.[0];
  const handler = config && objectProperties(config, "The configuration of a Gateway", problems).get("authHandler");
  const gateway = { name: use.binding?.name ?? "gateway", authHandler: null, source: problems.ref(node) };
  if (!handler) return gateway;
  const property = handler.parent;
  let symbol = ts.isShorthandPropertyAssignment(property)
    ? checker.getShorthandAssignmentValueSymbol(property)
    : checker.getSymbolAtLocation(handler);
  if (symbol && symbol.flags & ts.SymbolFlags.Alias) symbol = checker.getAliasedSymbol(symbol);
  const found = symbol && handlers.get(symbol);
  if (!found)
    problems.at(handler, "The Gateway's authHandler must be a variable that holds an authHandler(…) of this app.");
  return { ...gateway, authHandler: found ?? null };
}

function addDatabase(databases: DatabaseMeta[], database: DatabaseMeta, problems: Problems): void {
  const same = databases.find(({ name }) => name === database.name);
  if (same)
    problems.add(
      database.source,
      `The database "${database.name}" is already declared (${same.source.file}:${same.source.line}); refer to it by SQLDatabase.named("${database.name}").`,
    );
  else databases.push(database);
}

function checkNames(meta: AppMeta, problems: Problems): void {
  const seen = new Map<string, string>();
  for (const { service, name, source } of meta.endpoints) {
    const first = seen.get(`${service}.${name}`);
    if (first)
      problems.add(source, `The service "${service}" has a second endpoint called "${name}" (the first: ${first}).`);
    else seen.set(`${service}.${name}`, `${source.file}:${source.line}`);
  }
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
