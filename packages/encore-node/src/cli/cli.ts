import { statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { type StartOptions, start } from "./start.js";

const USAGE = `encore-node: runs an Encore.ts app on plain Node.js

  encore-node check   [app]   parse the app, report every problem, write encore.gen
  encore-node build   [app]   check, then bundle to .encore/build (--out <dir>)
  encore-node start   [app]   build if something changed, then serve
  encore-node dev     [app]   serve, and restart on every change
  encore-node openapi [app]   print the OpenAPI 3.1 document (--out <file>)

  [app] is the folder of encore.app; the current folder by default.

  --port <n>, --host <h>      where start and dev listen (else ENCORE_NODE_PORT, ENCORE_NODE_HOST, 4000, 127.0.0.1)
  --out <path>                build: the folder for the build; openapi: the file to write
  --secrets <file.json>       start, dev: an object of secret names and values
  --no-build                  start: serve the build there is
`;

/** By name, because the modules that throw them are bundled apart. Their messages are for people; any other error is a fault of ours. */
const EXPLAINED = new Set(["BuildError", "StartError", "UsageError"]);

/** Runs one command; sets the exit code 1 after problems in the app, 2 after a wrong command line. */
export async function main(argv: string[]): Promise<void> {
  try {
    await run(argv);
  } catch (error) {
    if (!(error instanceof Error) || !EXPLAINED.has(error.name)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.name === "UsageError" ? 2 : 1;
  }
}

class UsageError extends Error {
  override name = "UsageError";
}

async function run(argv: string[]): Promise<void> {
  const { values, positionals } = readArguments(argv);
  const [command, folder = "."] = positionals;
  if (values.help || !command) {
    process.stdout.write(USAGE);
    return;
  }
  const root = appRoot(folder);
  const out = command === "openapi" ? buildFolder(root) : path.resolve(values.out ?? buildFolder(root));
  const options: StartOptions = { root, out, port: values.port, host: values.host, secrets: values.secrets };
  switch (command) {
    case "check": {
      const { check } = await import("../gen/build.js");
      const began = performance.now();
      const meta = check(root);
      const ms = Math.round(performance.now() - began);
      process.stdout.write(`ok: ${meta.services.length} services, ${meta.endpoints.length} endpoints (${ms} ms)\n`);
      return;
    }
    case "build": {
      const { buildApp } = await import("../gen/build.js");
      await buildApp(root, out);
      process.stdout.write(`built ${path.relative(process.cwd(), out) || "."}\n`);
      return;
    }
    case "start": {
      if (!values["no-build"]) {
        const { isFresh } = await import("../gen/fresh.js");
        if (!isFresh(root, out)) await (await import("../gen/build.js")).buildApp(root, out);
      }
      return start(options);
    }
    case "dev":
      return (await import("./dev.js")).dev(options);
    case "openapi": {
      const { check, openApiText } = await import("../gen/build.js");
      const text = openApiText(root, check(root));
      if (values.out) writeFileSync(values.out, text);
      else process.stdout.write(text);
      return;
    }
    default:
      throw new UsageError(`There is no command "${command}".\n\n${USAGE}`);
  }
}

function readArguments(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        port: { type: "string" },
        host: { type: "string" },
        out: { type: "string" },
        secrets: { type: "string" },
        "no-build": { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function appRoot(folder: string): string {
  const root = path.resolve(folder);
  if (!statSync(path.join(root, "encore.app"), { throwIfNoEntry: false }))
    throw new UsageError(`There is no encore.app in ${root}; name the folder of an Encore.ts app.`);
  return root;
}

function buildFolder(root: string): string {
  return path.join(root, ".encore/build");
}
