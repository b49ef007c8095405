import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, vi } from "vitest";
import type { AppMeta, EndpointMeta } from "../src/meta.js";
import { formatProblem, parseApp } from "../src/parse/index.js";

/** Inside the package, so that the apps find `encore.dev`; a dot-folder, so that nothing else looks into it. */
const FOLDER = path.join(import.meta.dirname, "../.encore/test-apps");
const made: string[] = [];

/** Milliseconds. The compiler takes seconds to load its own libraries where others want the cores too. */
vi.setConfig({ testTimeout: 60_000 });

afterAll(() => {
  for (const root of made) rmSync(root, { recursive: true, force: true });
});

/** Writes an app of these files (plus `encore.app` and a tsconfig) to a new folder and gives its root. */
export function writeApp(files: Record<string, string>): string {
  mkdirSync(FOLDER, { recursive: true });
  const root = mkdtempSync(path.join(FOLDER, "app-"));
  made.push(root);
  const tsconfig = JSON.stringify({ compilerOptions: { paths: { "~encore/*": ["./encore.gen/*"] } } });
  for (const [name, text] of Object.entries({ "encore.app": "{}", "tsconfig.json": tsconfig, ...files })) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return root;
}

/** An app of one service "shop" with `source` as `shop/shop.ts`. */
export function shop(source: string, more: Record<string, string> = {}): Record<string, string> {
  const service = 'import { Service } from "encore.dev/service";\nexport default new Service("shop");\n';
  return { "shop/encore.service.ts": service, "shop/shop.ts": source, ...more };
}

/** Every problem of an app, as printed. */
export function problemsOf(files: Record<string, string>): string[] {
  return parseApp(writeApp(files)).problems.map(formatProblem);
}

/** The description of an app that has no problems. */
export function metaOf(files: Record<string, string>): AppMeta {
  const { meta, problems } = parseApp(writeApp(files));
  if (problems.length > 0) throw new Error(problems.map(formatProblem).join("\n"));
  return meta;
}

/** The one endpoint called `name`. */
export function endpointOf(meta: AppMeta, name: string): EndpointMeta {
  const found = meta.endpoints.find((endpoint) => endpoint.name === name);
  if (!found) throw new Error(`There is no endpoint "${name}".`);
  return found;
}
