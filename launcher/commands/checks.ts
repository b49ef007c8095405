import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../paths";
import { run, tail } from "../stack/run";
import { step } from "../terminal/progress";
import { dim } from "../terminal/style";

const CHECK_TIMEOUT_MS = 300_000;
const OUTPUT_LINES_SHOWN = 60;
const NOT_OURS = new Set(["node_modules", ".graphyn", ".git", "fixtures", "dist", "encore.gen", ".encore"]);
const NODE = process.execPath;
const npmProgram = (...path: string[]) => join(ROOT, "node_modules", ...path);

/** A check that needs no server: what it is called, and what is run one after the other, each to succeed. */
interface Check {
  readonly name: string;
  readonly commands: readonly (readonly [string, ...string[]])[];
}

/** Runs types, lint, the check of packages and the requirements gate. Returns which of them passed. */
export async function staticChecks(): Promise<{ name: string; passed: boolean }[]> {
  const tsc = (project: string): [string, ...string[]] => [
    NODE,
    npmProgram("typescript", "bin", "tsc"),
    "-p",
    project,
    "--noEmit",
    "--pretty",
    "false",
  ];
  const checks: Check[] = [
    {
      name: "Types",
      // The generated clients and the auth module are part of what is checked.
      commands: [
        [NODE, join("packages", "encore-node", "bin", "encore-node.js"), "check", "backend"],
        ...projects(ROOT).map(tsc),
      ],
    },
    { name: "Lint", commands: [[NODE, npmProgram("@biomejs", "biome", "bin", "biome"), "check", "."]] },
    { name: "Packages", commands: [["npm", "run", "--silent", "packages"]] },
    { name: "Requirements", commands: [["npm", "run", "--silent", "requirements"]] },
  ];
  const results = [];
  for (const check of checks) results.push({ name: check.name, passed: await passes(check) });
  return results;
}

async function passes({ name, commands }: Check): Promise<boolean> {
  let complaint = "";
  const work = async (say: (text: string) => void) => {
    for (const [command, ...args] of commands) {
      say(args.map((arg) => arg.replace(`${ROOT}/`, "")).join(" "));
      const { code, output } = await run(command, args, { cwd: ROOT, timeoutMs: CHECK_TIMEOUT_MS });
      if (code !== 0) complaint += `${tail(output, OUTPUT_LINES_SHOWN)}\n`;
    }
    if (complaint !== "") throw new Error(name);
    return "passed";
  };
  try {
    await step(name, "checking", ({ say }) => work(say));
    return true;
  } catch (error) {
    if (complaint === "") throw error;
    console.log(dim(complaint.replace(/^/gm, "      ")));
    return false;
  }
}

/** Every folder with a tsconfig.json, the root first. */
function projects(dir: string): string[] {
  const entries = readdirSync(dir, { withFileTypes: true });
  const here = entries.some((entry) => entry.isFile() && entry.name === "tsconfig.json") ? [dir] : [];
  const folders = entries.filter((entry) => entry.isDirectory() && !NOT_OURS.has(entry.name));
  return [...here, ...folders.flatMap((entry) => projects(join(dir, entry.name)))];
}
