import path from "node:path";
import { formatProblem, type ParseResult, parseApp } from "../parse/index.js";
import { BundleError, bundle } from "./bundle.js";
import { generateCode } from "./codegen.js";
import { fingerprint, otherFiles, STAMP, type Stamp, sourceFiles } from "./fresh.js";
import { buildOpenApi, DocError, documentInfo } from "./openapi/index.js";
import { writeGenerated, writeIfChanged } from "./write.js";

/** The app does not keep Encore's rules, or does not bundle: the message holds one line for each problem. */
export class BuildError extends Error {
  override name = "BuildError";
}

/** Parses and generates `encore.gen`; throws a BuildError with every problem found. */
export function check(root: string): ParseResult["meta"] {
  const { meta, problems } = parseApp(root);
  if (problems.length > 0) throw new BuildError(problems.map(formatProblem).join("\n"));
  writeGenerated(path.join(root, "encore.gen"), generateCode(meta));
  return meta;
}

/** Makes `<out>/main.mjs`, `meta.json` and `openapi.json`, ready to be started without a compiler. */
export async function buildApp(root: string, out: string): Promise<void> {
  // Before anything is read: what changes while it builds makes the build stale.
  const sources = fingerprint(root, sourceFiles(root));
  const meta = check(root);
  const inputs = await bundle(root, out).catch((error: unknown) => {
    throw error instanceof BundleError ? new BuildError(error.message) : error;
  });
  writeIfChanged(path.join(out, "meta.json"), `${JSON.stringify(meta, null, 2)}\n`);
  writeIfChanged(path.join(out, "openapi.json"), openApiText(root, meta));
  const stamp: Stamp = { inputs, sources, others: fingerprint(root, otherFiles(root, inputs)) };
  writeIfChanged(path.join(out, STAMP), `${JSON.stringify(stamp, null, 2)}\n`);
}

/** The OpenAPI document as it is written to files. */
export function openApiText(root: string, meta: ParseResult["meta"]): string {
  try {
    return `${JSON.stringify(buildOpenApi(meta, documentInfo(root, meta)), null, 2)}\n`;
  } catch (error) {
    throw error instanceof DocError ? new BuildError(error.message) : error;
  }
}
