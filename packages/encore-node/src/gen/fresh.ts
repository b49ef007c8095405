import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { appFiles } from "../parse/files.js";

/** Whether `<out>` holds a build of exactly these sources, by this version of the package. */
export function isFresh(root: string, out: string): boolean {
  const stamp = path.join(out, "stamp");
  if (!existsSync(stamp) || !existsSync(path.join(out, "main.mjs")) || !existsSync(path.join(out, "meta.json")))
    return false;
  return readFileSync(stamp, "utf8") === fingerprint(root);
}

/** Changes with every source file, the app's settings, and this package's own code. */
export function fingerprint(root: string): string {
  const hash = createHash("sha256");
  const settings = ["encore.app", "tsconfig.json", "package.json"].map((name) => path.join(root, name));
  // The package's own code, by the stamp of its compilation beside it.
  const own = path.join(import.meta.dirname, "stamp");
  for (const file of [...settings, ...appFiles(root), own]) {
    const stat = statSync(file, { throwIfNoEntry: false });
    hash.update(`${path.relative(root, file)} ${stat?.size} ${stat?.mtimeMs}\n`);
  }
  return hash.digest("hex");
}
