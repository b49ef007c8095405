import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { BuildError, buildApp } from "../gen/build.js";
import type { StartOptions } from "./start.js";
import { watchApp } from "./watch.js";

/** Editors save in bursts; a build waits until it has been quiet for this long. */
const QUIET_MS = 80;
/** How long the old process may drain before it is killed. */
const DRAIN_MS_MAX = 10_000;

/**
 * Serves the app and replaces it after every change. The old process keeps running until the new sources build: a problem in them is
 * printed and costs nothing but the change. Runs until SIGINT or SIGTERM.
 */
export async function dev(options: StartOptions): Promise<void> {
  let child: ChildProcess | null = null;
  let stopping = false;
  let dirty = true;
  let wake: (() => void) | null = null;
  let timer: NodeJS.Timeout | undefined;
  const change = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      dirty = true;
      wake?.();
    }, QUIET_MS);
  };
  const unwatch = watchApp(options.root, change);
  const stop = (): void => {
    stopping = true;
    wake?.();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);

  while (!stopping) {
    if (dirty) {
      dirty = false;
      const began = performance.now();
      const built = await tryBuild(options);
      if (built && !dirty && !stopping) {
        if (child) await end(child);
        child = serve(options);
        console.error(`encore-node: ${Math.round(performance.now() - began)} ms to rebuild and restart`);
      }
      continue;
    }
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    wake = null;
  }
  unwatch();
  clearTimeout(timer);
  if (child) await end(child);
}

async function tryBuild({ root, out }: StartOptions): Promise<boolean> {
  try {
    await buildApp(root, out);
    return true;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`\n${error.message}\n\nencore-node: not restarted; the last good version keeps running`);
    return false;
  }
}

function serve({ root, out, port, host, secrets }: StartOptions): ChildProcess {
  const flags = Object.entries({ port, host, secrets }).flatMap(([name, value]) => (value ? [`--${name}`, value] : []));
  const bin = path.join(import.meta.dirname, "../bin/encore-node.js");
  const child = spawn(process.execPath, [bin, "start", root, "--out", out, "--no-build", ...flags], {
    stdio: "inherit",
  });
  child.on("exit", (code, signal) => {
    if (signal === null && code !== 0)
      console.error(`encore-node: the app ended with code ${code}; waiting for a change`);
  });
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), DRAIN_MS_MAX);
  await exited;
  clearTimeout(timer);
}
