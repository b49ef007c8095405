import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Citation, citations } from "./citations";

/**
 * The gate between docs/requirements.md and the tests. Prints every requirement with the tests that cite it, and fails when one that is
 * marked as delivered has none, when a test cites what the table does not hold, or when the table is not whole.
 */

/** How many requirements each family has. A new one is entered here and in the table: neither can lose one unseen. */
export const FAMILIES: Readonly<Record<string, number>> = {
  THR: 7,
  SSE: 6,
  WS: 2,
  LET: 8,
  SEC: 7,
  AGT: 2,
  CFG: 1,
  LRN: 6,
  DEP: 4,
  DAT: 2,
  OBS: 1,
  ENC: 2,
  DEV: 2,
  RUN: 1,
};

const STATES = ["delivered", "partly", "planned"] as const;
export type State = (typeof STATES)[number];

export interface Requirement {
  id: string;
  text: string;
  state: State;
}

/** Folders whose tests count. */
const TESTED = ["backend", "packages", "launcher", "bench", "scripts"];
const SKIPPED_FOLDERS = new Set(["node_modules", "fixtures", "dist", "encore.gen", ".graphyn"]);

/** The rows of the table, and what is wrong with it. A row is `| id | from | requirement | state |`. */
export function parseTable(markdown: string): { requirements: Requirement[]; problems: string[] } {
  const requirements: Requirement[] = [];
  const problems: string[] = [];
  for (const line of markdown.split("\n")) {
    const [id = "", , text = "", state = ""] = line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    if (!/^[A-Z]+-\d+$/.test(id)) continue;
    if (requirements.some((known) => known.id === id)) problems.push(`${id} stands twice in docs/requirements.md.`);
    if (!(STATES as readonly string[]).includes(state)) {
      problems.push(`${id} has the state "${state}"; it must be one of ${STATES.join(", ")}.`);
      continue;
    }
    requirements.push({ id, text, state: state as State });
  }
  return { requirements, problems };
}

/** What is wrong between the table and the tests, one sentence each; empty when nothing is. */
export function findProblems(requirements: Requirement[], cited: Citation[], families = FAMILIES): string[] {
  const problems: string[] = [];
  const known = new Set(requirements.map(({ id }) => id));
  const wanted = Object.entries(families).flatMap(([family, count]) =>
    Array.from({ length: count }, (_, index) => `${family}-${index + 1}`),
  );
  for (const id of wanted) if (!known.has(id)) problems.push(`${id} is missing in docs/requirements.md.`);
  for (const id of known) {
    if (!wanted.includes(id)) problems.push(`${id} is not counted in FAMILIES of scripts/requirements.ts.`);
  }
  for (const { id, state } of requirements) {
    if (state !== "delivered" || cited.some((citation) => citation.id === id)) continue;
    problems.push(`${id} is marked as delivered and no test cites it: name it in the title of a test that proves it.`);
  }
  for (const { id, file, line } of cited) {
    if (!known.has(id)) problems.push(`${file}:${line} cites ${id}, which is no requirement.`);
  }
  return problems;
}

/** Every requirement with the tests that cite it, as it is printed. */
export function report(requirements: Requirement[], cited: Citation[]): string {
  const lines: string[] = [];
  for (const { id, state, text } of requirements) {
    lines.push(`${id.padEnd(6)} ${state.padEnd(9)} ${text}`);
    for (const citation of cited.filter((one) => one.id === id)) {
      lines.push(`         ${citation.file}:${citation.line}  ${citation.text}`);
    }
  }
  return lines.join("\n");
}

/** All test files of the repository, as paths relative to `root`. */
function testFiles(root: string, folders = TESTED): string[] {
  const found: string[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && !SKIPPED_FOLDERS.has(entry.name)) visit(path);
      else if (entry.isFile() && entry.name.endsWith(".test.ts")) found.push(relative(root, path));
    }
  };
  const present = new Set(readdirSync(root));
  for (const folder of folders) if (present.has(folder)) visit(join(root, folder));
  return found.sort();
}

function main(root: string): number {
  const { requirements, problems } = parseTable(readFileSync(join(root, "docs/requirements.md"), "utf8"));
  const cited = testFiles(root).flatMap((file) =>
    citations(file, readFileSync(join(root, file), "utf8"), Object.keys(FAMILIES)),
  );
  console.log(report(requirements, cited));
  const all = [...problems, ...findProblems(requirements, cited)];
  const count = (state: State) => requirements.filter((one) => one.state === state).length;
  console.log(
    `\n${requirements.length} requirements: ${STATES.map((state) => `${count(state)} ${state}`).join(", ")}; ${cited.length} citations.`,
  );
  if (all.length === 0) return 0;
  console.error(`\n${all.length} problems:\n${all.map((problem) => `- ${problem}`).join("\n")}`);
  return 1;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = main(fileURLToPath(new URL("..", import.meta.url)));
}
