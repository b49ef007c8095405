import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * What of others' code comes along: package-lock.json fits the package.json files, every package in it is pinned by its hash and comes from
 * wherever npm is set up to look (no address of its own), and no package that users run has a known hole of weight `high` or `critical`.
 * A registry that gives no advisories (a mirror, no network) is told and passes: nothing was found, because nothing could be asked.
 */

/** Asking the registry, ms. */
const ASK_MS_MAX = 60_000;
const GRAVE = ["high", "critical"] as const;

interface Lock {
  packages: Record<string, { integrity?: string; resolved?: string; link?: boolean; version?: string }>;
}

/** What is wrong with the lock file itself: a sentence each. */
export function lockProblems(lock: Lock): string[] {
  return Object.entries(lock.packages).flatMap(([path, { integrity, resolved, link }]) => {
    if (!path.includes("node_modules/") || link) return []; // the workspace's own folders
    if (!integrity) return [`${path} is not pinned by a hash.`];
    if (!/^sha512-/.test(integrity))
      return [`${path} is pinned by a hash that is too weak: ${integrity.split("-")[0]}.`];
    return resolved
      ? [`${path} names an address of its own; it is to come from the registry that npm is set up with.`]
      : [];
  });
}

interface Audit {
  vulnerabilities?: Record<string, { name: string; severity: string; range: string }>;
}

/** The grave holes in what `npm audit --json` said; null where it said nothing, because it could not ask. */
export function graveHoles(output: string): string[] | null {
  const { vulnerabilities } = JSON.parse(output) as Audit;
  if (vulnerabilities === undefined) return null;
  return Object.values(vulnerabilities)
    .filter(({ severity }) => (GRAVE as readonly string[]).includes(severity))
    .map(({ name, severity, range }) => `${name} ${range} has a known hole (${severity}): npm audit tells more.`);
}

function npm(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile("npm", args, { timeout: ASK_MS_MAX, maxBuffer: 16 << 20 }, (error, stdout, stderr) =>
      resolve({ code: error ? 1 : 0, output: stdout || stderr }),
    );
  });
}

async function main(): Promise<void> {
  const problems = lockProblems(JSON.parse(readFileSync("package-lock.json", "utf8")) as Lock);
  const fits = await npm("ci", "--dry-run", "--ignore-scripts", "--offline");
  if (fits.code !== 0)
    problems.push(`package-lock.json does not fit the package.json files:\n${fits.output.slice(-2_000)}`);
  const { output } = await npm("audit", "--json", "--omit=dev");
  const holes = graveHoles(output);
  if (holes === null) console.log("The registry gives no advisories: known holes were not looked for.");
  problems.push(...(holes ?? []));
  for (const problem of problems) console.log(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
