// Compiles this package's own TypeScript into dist/. In a checkout the bin does so whenever a source file has changed, so that nobody runs
// stale code; a published package has dist/ alone and nothing to do.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

const root = path.dirname(import.meta.dirname);
const source = path.join(root, "src");
const dist = path.join(root, "dist");
const stampFile = path.join(dist, "stamp");

/** Compiles when dist/ is not of exactly these sources. */
export async function ensureBuilt() {
  if (!existsSync(source)) return;
  const stamp = fingerprint();
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  await compile(stamp);
}

/** What `import()` in src/cli leads to, each a bundle of its own, so that a start loads no compiler. */
const MODULES = ["src/cli/cli.ts", "src/cli/dev.ts", "src/gen/build.ts", "src/gen/fresh.ts"];

/** `dist/cli.js` and its fellows (ES modules) and `dist/runtime.cjs`, which encore.dev loads by `require`. */
export async function compile(stamp = fingerprint()) {
  const { build } = await import("esbuild");
  const common = {
    absWorkingDir: root,
    bundle: true,
    write: false,
    platform: "node",
    target: "node20.19",
    packages: "external",
    sourcemap: "linked",
    keepNames: true,
    outdir: dist,
    logLevel: "warning",
  };
  const fellows = {
    name: "fellows",
    setup: (plugin) =>
      plugin.onResolve({ filter: /^\./ }, ({ path: name, kind }) =>
        kind === "dynamic-import" ? { path: `./${path.basename(name)}`, external: true } : undefined,
      ),
  };
  const builds = [build({ ...common, entryPoints: MODULES, entryNames: "[name]", format: "esm", plugins: [fellows] })];
  if (existsSync(path.join(source, "runtime/index.ts"))) {
    const entryPoints = { runtime: "src/runtime/index.ts" };
    builds.push(build({ ...common, entryPoints, format: "cjs", outExtension: { ".js": ".cjs" } }));
  }
  mkdirSync(dist, { recursive: true });
  for (const { outputFiles } of await Promise.all(builds))
    for (const file of outputFiles) writeWhole(file.path, file.contents);
  writeWhole(stampFile, stamp);
}

/** Two starts at the same time may both compile; each file is replaced whole. */
function writeWhole(file, contents) {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, contents);
  renameSync(temporary, file);
}

function fingerprint() {
  const hash = createHash("sha256");
  const files = readdirSync(source, { recursive: true }).filter((name) => name.endsWith(".ts"));
  for (const name of [...files.sort().map((file) => path.join("src", file)), "bin/own-build.js", "package.json"]) {
    const { size, mtimeMs } = statSync(path.join(root, name));
    hash.update(`${name} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

if (process.argv[1] === import.meta.filename) await compile();
