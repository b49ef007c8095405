import { existsSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../fault";
import { INSTALL_DIR } from "../paths";
import { installOnce } from "./installed";
import type { Python } from "./python";
import { run, tail } from "./run";
import { UV_VERSION } from "./versions";

const INSTALL_TIMEOUT_MS = 300_000;
const ASK_TIMEOUT_MS = 10_000;

/** `uv`, ready to be called: its program, and the environment that makes it use our Python and no other. */
export interface Uv {
  readonly command: string;
  readonly env: NodeJS.ProcessEnv;
  readonly python: Python;
}

const UV_DIR = join(INSTALL_DIR, `uv-${UV_VERSION}`);

/** Installs uv from the Python registry into its own folder, by venv where Python has it, else by pip alone. */
export async function installUv(python: Python): Promise<Uv> {
  await installOnce(UV_DIR, async () => {
    const pip = python.venv ? join(UV_DIR, "bin", "python") : python.path;
    if (python.venv) await must(python.path, ["-m", "venv", UV_DIR], "A Python environment could not be made.");
    const target = python.venv ? [] : ["--target", UV_DIR];
    const args = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", ...target, `uv==${UV_VERSION}`];
    await must(pip, args, `uv ${UV_VERSION} could not be installed from the Python package registry.`);
  });
  return { command: join(UV_DIR, "bin", "uv"), env: await uvEnv(python), python };
}

/** pip as it was installed beside uv; the only client that fetches a source distribution without building it. */
export function pipCommand(python: Python): string {
  const own = join(UV_DIR, "bin", "python");
  return existsSync(own) ? own : python.path;
}

/** uv reads no pip configuration, so the registry chosen for pip is handed over. It must never fetch a Python of its own. */
async function uvEnv(python: Python): Promise<NodeJS.ProcessEnv> {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    UV_PYTHON: python.path,
    UV_PYTHON_DOWNLOADS: "never",
    UV_NO_PROGRESS: "1",
    UV_LINK_MODE: process.env.UV_LINK_MODE ?? "hardlink",
  };
  delete env.VIRTUAL_ENV;
  if (!env.UV_DEFAULT_INDEX && !env.UV_INDEX_URL) {
    const asked = await run(pipCommand(python), ["-m", "pip", "config", "get", "global.index-url"], {
      timeoutMs: ASK_TIMEOUT_MS,
    });
    if (asked.code === 0 && asked.output.trim().startsWith("http")) env.UV_DEFAULT_INDEX = asked.output.trim();
  }
  return env;
}

/** Runs an installation step; a failure becomes a Fault that shows the end of what the step said. */
export async function must(
  command: string,
  args: readonly string[],
  complaint: string,
  options: { cwd?: string; env?: NodeJS.ProcessEnv; onLine?: (line: string) => void } = {},
): Promise<void> {
  const { code, output } = await run(command, args, { timeoutMs: INSTALL_TIMEOUT_MS, ...options });
  if (code === 0) return;
  throw new Fault(`${complaint}\n${tail(output)}`, "Check the network and run this again; finished steps are kept.");
}
