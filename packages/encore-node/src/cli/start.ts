import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

/** Where to start an app from, and how; what is undefined is left to the environment. */
export interface StartOptions {
  root: string;
  /** Folder of the build. */
  out: string;
  port: string | undefined;
  host: string | undefined;
  /** JSON file with an object of secret names and values. */
  secrets: string | undefined;
}

/** The app cannot be started as asked; the message says what to do. */
export class StartError extends Error {
  override name = "StartError";
}

/** Serves a build in this process: the runtime reads its settings from the environment, then the bundle registers its handlers with it. */
export async function start(options: StartOptions): Promise<void> {
  const main = path.join(options.out, "main.mjs");
  if (!existsSync(main)) throw new StartError(`There is no build in ${options.out}; run "encore-node build" first.`);
  Object.assign(process.env, startEnvironment(options));
  process.setSourceMapsEnabled(true);
  process.chdir(options.root);
  await prepareRuntime();
  await import(pathToFileURL(main).href);
}

/** Databases are migrated before any of the app's modules is loaded, as with Encore. */
async function prepareRuntime(): Promise<void> {
  const runtime = createRequire(import.meta.url)(path.join(import.meta.dirname, "runtime.cjs")) as {
    prepare(): Promise<void>;
  };
  try {
    await runtime.prepare();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}

/** What the runtime and encore.dev read: see SPEC.md, "Configuration". */
export function startEnvironment(options: StartOptions): Record<string, string> {
  const environment: Record<string, string> = {
    ENCORE_RUNTIME_LIB: path.join(import.meta.dirname, "runtime.cjs"),
    ENCORE_NODE_META: path.join(options.out, "meta.json"),
    ENCORE_NODE_APP_ROOT: options.root,
  };
  if (options.port !== undefined) environment.ENCORE_NODE_PORT = options.port;
  if (options.host !== undefined) environment.ENCORE_NODE_HOST = options.host;
  for (const [name, value] of Object.entries(readSecrets(options.secrets)))
    environment[`ENCORE_NODE_SECRET_${name}`] = value;
  return environment;
}

function readSecrets(file: string | undefined): Record<string, string> {
  if (file === undefined) return {};
  const json = readJson(file);
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new StartError(`${file} must hold a JSON object of secret names and values.`);
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, String(value)]));
}

/** Says nothing of what stands in the file: it holds secrets. */
function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new StartError(`${file} cannot be read as JSON; it must hold an object of secret names and values.`);
  }
}
