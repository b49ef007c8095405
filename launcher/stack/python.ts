import { Fault } from "../fault";
import { run } from "./run";
import { PYTHON_MINOR_MAX, PYTHON_MINOR_MIN } from "./versions";

const PROBE_TIMEOUT_MS = 10_000;
const PROBE = `import sys, json, sysconfig
def has(name):
    try:
        __import__(name); return True
    except Exception:
        return False
print(json.dumps({"path": sys.executable, "major": sys.version_info[0], "minor": sys.version_info[1],
  "venv": has("venv") and has("ensurepip"), "pip": has("pip"),
  "optimized": "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "") or sys.base_prefix == "/usr"}))`;

/**
 * A Python that was found: where, which, whether it can install packages by `venv` or by `pip`, and whether it was built with its own
 * optimizations. Those of distributions are; those that pyenv or asdf compile are not, and Letta spends more CPU on each answer there.
 */
export interface Python {
  readonly path: string;
  readonly major: number;
  readonly minor: number;
  readonly venv: boolean;
  readonly pip: boolean;
  readonly optimized: boolean;
}

/** Newest first among those that Letta runs on; `python3` last, as it may be any version. Then the system's, which a version manager hides. */
export const CANDIDATES = [
  "python3.13",
  "python3.12",
  "python3.11",
  "python3",
  "python",
  "/usr/bin/python3.13",
  "/usr/bin/python3.12",
  "/usr/bin/python3.11",
  "/usr/bin/python3",
] as const;

async function probe(command: string): Promise<Python | undefined> {
  const { code, output } = await run(command, ["-c", PROBE], { timeoutMs: PROBE_TIMEOUT_MS });
  if (code !== 0) return undefined;
  try {
    return JSON.parse(output.trim().split("\n").at(-1) ?? "") as Python;
  } catch {
    return undefined; // a wrapper that printed something else is no Python to us
  }
}

/**
 * Finds a Python that Letta runs on (3.11 to 3.13) and that can install packages. `GRAPHYN_PYTHON` names one explicitly.
 * @throws Fault with one sentence saying what was found instead and what to install.
 */
export async function findPython(candidates: readonly string[] = CANDIDATES): Promise<Python> {
  const asked = process.env.GRAPHYN_PYTHON;
  const found: Python[] = [];
  for (const candidate of asked ? [asked] : candidates) {
    const python = await probe(candidate);
    if (python) found.push(python);
  }
  return choosePython(found, asked);
}

/** The rule by itself: the first optimized one that fits, else the first that fits, else a sentence about the nearest miss. */
export function choosePython(found: readonly Python[], asked?: string): Python {
  const wanted = `Python 3.${PYTHON_MINOR_MIN} to 3.${PYTHON_MINOR_MAX}`;
  const supported = found.filter((p) => p.major === 3 && p.minor >= PYTHON_MINOR_MIN && p.minor <= PYTHON_MINOR_MAX);
  const able = supported.filter((p) => p.venv || p.pip).toSorted((a, b) => rank(a) - rank(b))[0];
  if (able) return able;
  const first = supported[0];
  if (first) {
    throw new Fault(
      `Python 3.${first.minor} at ${first.path} has neither the venv module nor pip, so nothing can be installed with it.`,
      `Install one of them (Debian, Ubuntu: apt install python3.${first.minor}-venv), then run this again.`,
    );
  }
  const other = found[0];
  const seen = other
    ? `only Python ${other.major}.${other.minor} at ${other.path} was found`
    : asked
      ? `GRAPHYN_PYTHON=${asked} does not run`
      : "no Python was found";
  throw new Fault(
    `Letta needs ${wanted}, and ${seen}.`,
    "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13), or name one with GRAPHYN_PYTHON=/path/to/python3.",
  );
}

/** Lower is better; equals stay in the order they were found in. */
function rank({ optimized, venv }: Python): number {
  return (optimized ? 0 : 2) + (venv ? 0 : 1);
}
