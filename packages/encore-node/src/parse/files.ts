import { readdirSync } from "node:fs";
import path from "node:path";

const SKIPPED_FOLDERS = new Set(["node_modules", "encore.gen", "__tests__", "dist"]);
const SERVICE_FILE = "encore.service.ts";

/**
 * Every TypeScript file of an app, absolute, in Encore's order: a folder's `encore.service.ts` first, then by name.
 * Left out are dot-folders, `node_modules`, `encore.gen`, `__tests__`, `dist`, tests, specs and declaration files.
 */
export function appFiles(root: string): string[] {
  const files: string[] = [];
  const walk = (folder: string): void => {
    const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => rank(a.name, b.name));
    for (const entry of entries) {
      const full = path.join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!isSkippedFolder(entry.name)) walk(full);
      } else if (entry.isFile() && isAppFile(entry.name)) {
        files.push(full);
      }
    }
  };
  walk(root);
  return files;
}

export function isSkippedFolder(name: string): boolean {
  return name.startsWith(".") || SKIPPED_FOLDERS.has(name);
}

export function isAppFile(name: string): boolean {
  return name.endsWith(".ts") && !/\.(test|spec|d)\.ts$/.test(name) && !name.startsWith(".");
}

function rank(a: string, b: string): number {
  if (a === b) return 0;
  if (a === SERVICE_FILE) return -1;
  if (b === SERVICE_FILE) return 1;
  return a < b ? -1 : 1;
}
