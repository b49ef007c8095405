import { statSync } from "node:fs";
import path from "node:path";
import ts from "typescript";

/** One program for the whole app, with the parts of it that the parser asks for. */
export interface AppProgram {
  program: ts.Program;
  checker: ts.TypeChecker;
  /** The app's own files, in the order given. */
  sources: ts.SourceFile[];
}

/**
 * Compiles the app for its types only. Packages other than `encore.dev` are left unresolved unless `packages` is set: endpoint types
 * seldom come from one, and their declarations would cost more time than everything else. A schema that does touch one
 * is noticed by the caller, which then asks again with `packages`.
 */
export function createProgram(root: string, files: string[], packages: boolean): AppProgram {
  const options: ts.CompilerOptions = {
    ...appOptions(root),
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2022.d.ts", "lib.esnext.disposable.d.ts"],
    module: ts.ModuleKind.ES2022,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    skipDefaultLibCheck: true,
    allowJs: false,
    types: packages ? ["node"] : [],
  };
  const host = cachingHost(options);
  const cache = ts.createModuleResolutionCache(root, (name) => name, options);
  host.resolveModuleNameLiterals = (literals, containingFile, redirected) =>
    literals.map(({ text }) =>
      packages || isOwn(text, options)
        ? ts.resolveModuleName(text, containingFile, options, host, cache, redirected)
        : { resolvedModule: undefined },
    );
  const program = ts.createProgram({ rootNames: files, options, host });
  const sources = files.map((file) => program.getSourceFile(file)).filter((file) => file !== undefined);
  return { program, checker: program.getTypeChecker(), sources };
}

/** Parsed files by name, for as long as the process lives: `dev` parses again and again, and most files stay as they are. */
const parsedFiles = new Map<string, { version: string; file: ts.SourceFile }>();

function cachingHost(options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options);
  host.jsDocParsingMode = ts.JSDocParsingMode.ParseNone;
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, languageOptions, ...rest) => {
    const stat = statSync(name, { throwIfNoEntry: false });
    const version = `${stat?.size} ${stat?.mtimeMs}`;
    const known = parsedFiles.get(name);
    if (known?.version === version) return known.file;
    const file = read(name, languageOptions, ...rest);
    if (file) parsedFiles.set(name, { version, file });
    return file;
  };
  return host;
}

/** Path aliases are the app's own to say; everything else of its tsconfig does not change what its types mean. */
function appOptions(root: string): ts.CompilerOptions {
  const file = path.join(root, "tsconfig.json");
  const { config } = ts.readConfigFile(file, ts.sys.readFile);
  if (!config) return {};
  const own = { ...config, include: [], files: [] };
  const { options } = ts.parseJsonConfigFileContent(own, ts.sys, root, undefined, file);
  const kept: ts.CompilerOptions = {};
  if (options.paths) kept.paths = options.paths;
  if (options.baseUrl) kept.baseUrl = options.baseUrl;
  if (options.pathsBasePath) kept.pathsBasePath = options.pathsBasePath;
  return kept;
}

function isOwn(name: string, options: ts.CompilerOptions): boolean {
  if (name.startsWith(".") || name.startsWith("/")) return true;
  if (name === "encore.dev" || name.startsWith("encore.dev/")) return true;
  // What is generated is not read: it depends on this parse. Endpoint types never come from it.
  if (name.startsWith("~encore/")) return false;
  return Object.keys(options.paths ?? {}).some((pattern) => {
    const star = pattern.indexOf("*");
    return star < 0 ? name === pattern : name.startsWith(pattern.slice(0, star));
  });
}
