import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const DOCUMENTS = [
  ...["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CLAUDE.md"].filter((file) => existsSync(file)),
  ...markdownUnder("docs"),
  ...markdownUnder(".claude/commands"),
];

function markdownUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));
}

/** Paths that a document may name although they are not in the sources: made at run time, or examples. */
const NOT_SOURCES = [/[<>*…]/, /^\.graphyn\//, /encore\.gen/];
/** What is taken for a path of this repository: it begins with one of its folders. */
const REPOSITORY_PATH = /^(?:backend|packages|launcher|bench|docs|scripts|\.claude)\/[\w./-]+$/;

const SKIPPED_FOLDERS = new Set(["node_modules", ".git", ".graphyn", "dist", "encore.gen", ".encore"]);
const SOURCES = sourcesUnder(".");

function sourcesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) ? [] : sourcesUnder(join(folder, entry.name));
    return [join(folder, entry.name)];
  });
}

function wordsInBackticks(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, word = ""]) => word);
}

describe("documents", () => {
  it.each(DOCUMENTS)("%s links to what is there", (file) => {
    const targets = [...readFileSync(file, "utf8").matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, to = ""]) => to);
    const missing = targets.filter((to) => !/^[a-z]+:/.test(to) && !existsSync(join(dirname(file), to)));
    expect(missing).toEqual([]);
  });

  it.each(DOCUMENTS)("%s names files that are there", (file) => {
    const named = wordsInBackticks(readFileSync(file, "utf8"))
      .filter((word) => REPOSITORY_PATH.test(word))
      .filter((word) => !NOT_SOURCES.some((pattern) => pattern.test(word)));
    expect(named.filter((path) => !existsSync(path))).toEqual([]);
  });

  it.each(DOCUMENTS)("%s names source files by names that are there", (file) => {
    const named = wordsInBackticks(readFileSync(file, "utf8")).filter((word) => /^[\w/-]+\.(?:ts|sql|py)$/.test(word));
    expect(named.filter((name) => !SOURCES.some((path) => path === name || path.endsWith(`/${name}`)))).toEqual([]);
  });
});

interface OpenApi {
  paths: Record<string, Record<string, unknown>>;
}

/** `/threads/thread_…/messages?order=desc` and `/threads/:id/messages` → `/threads/{}/messages`. */
function shape(path: string): string {
  return path
    .replace(/[?#].*$/, "")
    .split("/")
    .map((part) => (/^[:{$<]|_(?:…|0{4,}|\d)|^\$/.test(part) || part === "nonsense" ? "{}" : part))
    .join("/");
}

describe("docs/api.md", () => {
  const openapi = JSON.parse(readFileSync("backend/system/openapi.gen.json", "utf8")) as OpenApi;
  const offered = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${shape(path)}`),
  );
  const shown = [...readFileSync("docs/api.md", "utf8").matchAll(/^### (.+)$/gm)].flatMap(([, title = ""]) =>
    [...title.matchAll(/(GET|POST|PUT|PATCH|DELETE) (\/\S*?)(?:,|$)/g)].map(
      ([, method, path = ""]) => `${method} ${shape(path)}`,
    ),
  );

  it("shows every endpoint of the interface's description (DEP-2)", () => {
    expect(offered.length).toBeGreaterThan(20);
    expect(offered.filter((endpoint) => !shown.includes(endpoint))).toEqual([]);
  });

  it("shows no endpoint that is not there, but the ones marked as not exposed", () => {
    expect(shown.filter((endpoint) => !offered.includes(endpoint))).toEqual(["GET /jobs/queue"]);
  });
});

describe("what Claude Code is given", () => {
  it("has the critical patterns in CLAUDE.md (DEV-1)", () => {
    const text = readFileSync("CLAUDE.md", "utf8");
    for (const pattern of [
      /identifier_key.*org_\$\{orgId\}/,
      /text\/event-stream/,
      /call tenant_table/,
      /## Debugging/,
      /## Error patterns met/,
    ]) {
      expect(text).toMatch(pattern);
    }
  });

  it("has the four commands, each with steps to run (DEV-1)", () => {
    for (const name of ["test-thread", "letta-health", "migration-gen", "api-test"]) {
      const text = readFileSync(`.claude/commands/${name}.md`, "utf8");
      expect(text).toMatch(/^---\ndescription: .+\n/);
      expect(text).toContain("```bash\n");
    }
  });

  it("may do what the brief permits (DEV-1)", () => {
    const { permissions } = JSON.parse(readFileSync(".claude/settings.json", "utf8")) as {
      permissions: { allow: string[] };
    };
    expect(permissions.allow).toEqual(
      expect.arrayContaining([
        "Edit",
        "Grep",
        ...["git commit", "npm", "docker", "docker-compose", "curl", "jest", "vitest", "psql", "encore db"].map(
          (command) => `Bash(${command}:*)`,
        ),
        "SlashCommand(/project:test-thread)",
        "SlashCommand(/project:letta-health)",
      ]),
    );
  });

  it("tests endpoints that are there (DEV-1)", () => {
    const openapi = JSON.parse(readFileSync("backend/system/openapi.gen.json", "utf8")) as OpenApi;
    const offered = new Set(
      Object.entries(openapi.paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${shape(path)}`),
      ),
    );
    const tried = [...readFileSync(".claude/commands/api-test.md", "utf8").matchAll(/^try \d+ (\w+) "?(\/[^"\s]*)/gm)];
    expect(tried.length).toBeGreaterThan(20);
    expect(tried.map(([, method, path = ""]) => `${method} ${shape(path)}`).filter((one) => !offered.has(one))).toEqual(
      [],
    );
  });
});
