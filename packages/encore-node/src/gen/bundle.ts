import path from "node:path";
import { build, formatMessages, type Plugin } from "esbuild";
import { writeIfChanged } from "./write.js";

/** Node's version that bundles are made for: the oldest this host runs on. */
const TARGET = "node20.19";

/** Bundling failed: esbuild's messages, ready to print. */
export class BundleError extends Error {}

/**
 * Bundles the generated entrypoint and the app's own code into `<out>/main.mjs` with a source map. Packages stay outside, so that native
 * modules and those that look for their own files work; `out` therefore has to be below a folder whose `node_modules` holds them. Gives the files it is made of, relative to `root`.
 */
export async function bundle(root: string, out: string): Promise<string[]> {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [path.join(root, "encore.gen/internal/entrypoints/combined/main.ts")],
    outfile: path.join(out, "main.mjs"),
    bundle: true,
    write: false,
    metafile: true,
    platform: "node",
    format: "esm",
    target: TARGET,
    packages: "external",
    sourcemap: "linked",
    charset: "utf8",
    keepNames: true,
    logLevel: "silent",
    plugins: [generatedModules(root)],
  }).catch(async (error: { errors?: Parameters<typeof formatMessages>[0] }) => {
    if (!error.errors) throw error;
    const lines = await formatMessages(error.errors, { kind: "error", color: false });
    throw new BundleError(lines.join("\n").trim());
  });
  for (const file of result.outputFiles) writeIfChanged(file.path, file.text);
  return Object.keys(result.metafile.inputs).sort();
}

/** `~encore/…` is code of the app, not a package, whatever the app's tsconfig says. */
function generatedModules(root: string): Plugin {
  return {
    name: "encore-generated",
    setup(plugin) {
      plugin.onResolve({ filter: /^~encore\// }, ({ path: name, kind }) =>
        plugin.resolve(`./${name.slice("~encore/".length)}`, { kind, resolveDir: path.join(root, "encore.gen") }),
      );
    },
  };
}
