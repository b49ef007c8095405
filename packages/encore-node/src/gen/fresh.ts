import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { appFiles } from "../parse/files.js";

/** Whether `<out>` holds a build of exactly these sources, by this version of the package. */
export function isFresh(root: string, out: string): boolean {
  const file = path.join(out, STAMP);
  if (!existsSync(file) || !existsSync(path.join(out, "main.mjs")) || !existsSync(path.join(out, "meta.json")))
    return false;
  const { inputs, sources, others } = JSON.parse(readFileSync(file, "utf8")) as Stamp;
  return sources === fingerprint(root, sourceFiles(root)) && others === fingerprint(root, otherFiles(root, inputs));
}

/** What a build was made from; kept beside it. */
export interface Stamp {
  /** Every file in the bundle. */
  inputs: string[];
  sources: string;
  others: string;
}

/** The stamp's file, written last, so that a build that was cut off is made again. */
export const STAMP = "stamp.json";

/** Source files, the app's settings, and the stamp of this package's own code: all that is known before a build. */
export function sourceFiles(root: string): string[] {
  const settings = ["encore.app", "tsconfig.json", "package.json"].map((name) => path.join(root, name));
  return [...settings, ...appFiles(root), path.join(import.meta.dirname, "stamp")];
}

/** What the bundle imports besides sources, such as JSON. */
export function otherFiles(root: string, inputs: string[]): string[] {
  const others = inputs.filter((name) => !name.endsWith(".ts") && !name.startsWith("encore.gen/"));
  return others.map((name) => path.join(root, name));
}

/** Changes when one of the files does, by size and time. */
export function fingerprint(root: string, files: string[]): string {
  const hash = createHash("sha256");
  for (const file of files) {
    const stat = statSync(file, { throwIfNoEntry: false });
    hash.update(`${path.relative(root, file)} ${stat?.size} ${stat?.mtimeMs}\n`);
  }
  return hash.digest("hex");
}
