import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, it } from "vitest";
import { newAgent, newOrganization, newPerson, newThread, ok, type TestOrganization } from "../harness/organization";

/** One run of schemathesis over the document, ms. It takes some 20 s where nothing else runs. */
const RUN_MS_MAX = 240_000;
/** What is random comes from it. Another one, and so other requests: FUZZ_SEED=7 ./graphyn test fuzz */
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_130);
/** Random requests for each operation, after those that the document's schemas alone suggest. */
const EXAMPLES = 15;
const OUTPUT_CHARS_SHOWN = 6_000;

/** What is held against every answer. A method that the document does not name is 404 by Encore's rule, so 405 is not asked for. */
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "missing_required_header",
  "ignored_auth",
];

/** Streams have no end, what deletes would take away what the others are tried on, and schemathesis makes no body of many lines. */
const LEFT_OUT = "/stream$|/collaborate$|^/api-keys/|^/organizations/import$";

interface Settings {
  /** Values of path parameters by operation: a path's pattern and its values. */
  ids?: [path: string, values: Record<string, string>][];
  leftOut?: string;
}

/** Runs schemathesis over the server's own document with the organization's key; rejects with what it found. */
async function fuzz(org: TestOrganization, { ids = [], leftOut = LEFT_OUT }: Settings): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "graphyn-fuzz-"));
  try {
    const operations = ids.map(([path, values]) =>
      [
        "[[operations]]",
        `include-path-regex = ${JSON.stringify(path)}`,
        "[operations.parameters]",
        ...Object.entries(values).map(
          ([name, value]) => `${JSON.stringify(`path.${name}`)} = ${JSON.stringify(value)}`,
        ),
      ].join("\n"),
    );
    // Both ways to send a key are in the document; one made up would always win over the one that is right.
    const config = ["[generation]", "with-security-parameters = false", ...operations].join("\n");
    writeFileSync(join(dir, "schemathesis.toml"), config);
    const { code, output } = await run(dir, [
      "run",
      `${org.url}/openapi.json`,
      ...["--header", `Authorization: Bearer ${org.apiKey}`],
      ...["--phases", "examples,coverage,fuzzing", "--checks", CHECKS.join(",")],
      ...["--max-examples", String(EXAMPLES), "--seed", String(SEED), "--no-shrink", "--continue-on-failure"],
      ...["--exclude-path-regex", leftOut, "--warnings", "off"],
    ]);
    if (code !== 0) throw new Error(`schemathesis --seed ${SEED} ended with ${code}:\n${output}`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function run(cwd: string, args: string[]): Promise<{ code: number | null; output: string }> {
  const program = process.env.SCHEMATHESIS;
  if (!program) throw new Error("SCHEMATHESIS is not set: run the tests with ./graphyn test");
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ["ignore", "pipe", "pipe"], timeout: RUN_MS_MAX });
    let output = "";
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.once("error", reject);
    child.once("close", (code) => {
      const found = output.indexOf("= FAILURES =");
      resolve({ code, output: output.slice(Math.max(0, found)).slice(0, OUTPUT_CHARS_SHOWN) });
    });
  });
}

const ORGANIZATION = inject("graphyn");

it("answers anything that its OpenAPI document allows or forbids as the document says (SEC-2, DEP-2)", async () => {
  await fuzz(await newOrganization(ORGANIZATION), {});
}, 300_000);

it("does so for what is there, too (SEC-2, DEP-2)", async () => {
  const org = await newOrganization(ORGANIZATION);
  const [agent, person] = await Promise.all([newAgent(org, "Fuzzed"), newPerson(org, "Fuzzed")]);
  const thread = await newThread(org, [agent]);
  const said = await ok(
    org.call<{ message: { id: string }; turns: { id: string }[]; context: { participants: { id: string }[] } }>(
      "POST",
      `/threads/${thread}/messages`,
      { content: "Say anything." },
    ),
  );
  await fuzz(org, {
    ids: [
      ["^/agents/", { id: agent }],
      ["^/people/", { id: person }],
      ["^/threads/\\{id\\}$|^/threads/\\{id\\}/[a-z]+$", { id: thread }],
      ["^/threads/\\{id\\}/messages/", { id: thread, messageId: said.message.id }],
      ["^/threads/\\{id\\}/turns/", { id: thread, turnId: said.turns[0]?.id ?? "" }],
      ["^/threads/\\{id\\}/participants/", { id: thread, participantId: said.context.participants[0]?.id ?? "" }],
    ],
    leftOut: `${LEFT_OUT}|^/(organizations|search|models|health|docs|.*json)`,
  });
}, 300_000);

it.each(["/threads?limit=1.5", "/agents?limit=1.5", "/people?limit=1.5", "/search?q=x&limit=1.5"])(
  "refuses a fraction where a whole number is wanted: %s (SEC-2)",
  async (path) => {
    const { status, body } = await (await newOrganization(ORGANIZATION)).call("GET", path);
    expect([status, body]).toMatchObject([400, { details: { reason: "not_a_whole_number" } }]);
  },
);
