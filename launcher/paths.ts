import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The sources' root: the folder that holds `./graphyn`. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

/** Everything the launcher makes lies under here, except `node_modules`. */
export const GRAPHYN_DIR = process.env.GRAPHYN_HOME ?? join(ROOT, ".graphyn");

/** What is installed once and shared by `start` and `test`. */
export const INSTALL_DIR = process.env.GRAPHYN_INSTALL ?? join(GRAPHYN_DIR, "install");

/** The folders and files of one running stack. `start`, `test`, the benches and chaos have one each, so that they run side by side. */
export interface Place {
  readonly name: "start" | "test" | "bench" | "chaos" | "chaos-test";
  readonly dir: string;
  /** Generated passwords and keys, mode 0600. */
  readonly secrets: string;
  /** What runs: process ids with their start times, ports. */
  readonly state: string;
  readonly lock: string;
  /** Logs, one file a process: `logs/<name>.log`. */
  readonly logs: string;
  /** Coordinates for people and programs, mode 0600. */
  readonly env: string;
}

export function place(name: Place["name"]): Place {
  const dir = name === "start" ? GRAPHYN_DIR : join(GRAPHYN_DIR, name);
  return {
    name,
    dir,
    secrets: join(dir, "secrets.json"),
    state: join(dir, "state.json"),
    lock: join(dir, "lock"),
    logs: join(dir, "logs"),
    env: join(dir, "env"),
  };
}
