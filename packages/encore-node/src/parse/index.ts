import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { AppMeta, CorsConfig } from "../meta.js";
import { collect } from "./collect.js";
import { appFiles } from "./files.js";
import { type Problem, Problems } from "./problems.js";
import { createProgram } from "./program.js";

export { formatProblem, type Problem } from "./problems.js";

/** What a parse gives: the app's description, and every problem found; with a problem the description is incomplete. */
export interface ParseResult {
  meta: AppMeta;
  problems: Problem[];
}

/** Reads the Encore.ts app whose `encore.app` is in `root`. Nothing of it is executed. */
export function parseApp(root: string): ParseResult {
  const problems = new Problems(root);
  const app = readAppFile(root, problems);
  const files = appFiles(root);
  const quick = new Problems(root);
  const first = collect(createProgram(root, files, false), root, app, quick, false);
  if (!first.needsPackages) return { meta: first.meta, problems: [...problems.list(), ...quick.list()] };
  const full = collect(createProgram(root, files, true), root, app, problems, true);
  return { meta: full.meta, problems: problems.list() };
}

/** `encore.app`: the app's id and its CORS settings. */
export interface AppFile {
  id: string;
  cors: CorsConfig;
}

function readAppFile(root: string, problems: Problems): AppFile {
  const file = path.join(root, "encore.app");
  if (!existsSync(file)) {
    problems.add(null, `There is no encore.app in ${root}; run this in the root folder of an Encore.ts app.`);
    return { id: "", cors: {} };
  }
  try {
    const json = JSON.parse(withoutComments(readFileSync(file, "utf8")));
    return { id: json.id ?? "", cors: readCors(json.global_cors ?? {}) };
  } catch (error) {
    problems.add({ file: "encore.app", line: 1 }, `encore.app is not valid JSON (${(error as Error).message}).`);
    return { id: "", cors: {} };
  }
}

function readCors(json: Record<string, unknown>): CorsConfig {
  const list = (key: string): string[] | undefined =>
    Array.isArray(json[key]) ? json[key].filter((item) => typeof item === "string") : undefined;
  const cors: CorsConfig = {
    allowHeaders: list("allow_headers"),
    exposeHeaders: list("expose_headers"),
    allowOriginsWithoutCredentials: list("allow_origins_without_credentials"),
    allowOriginsWithCredentials: list("allow_origins_with_credentials"),
  };
  if (typeof json.debug === "boolean") cors.debug = json.debug;
  return Object.fromEntries(Object.entries(cors).filter(([, value]) => value !== undefined));
}

/** `encore.app` may hold comments and trailing commas. */
function withoutComments(text: string): string {
  return text
    .replace(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_, quoted: string | undefined) => quoted ?? "")
    .replace(/("(?:[^"\\]|\\.)*")|,(\s*[}\]])/g, (_, quoted: string | undefined, end: string) => quoted ?? end);
}
