import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { citations } from "./citations";
import { FAMILIES, findProblems, parseTable, type Requirement, report } from "./requirements";

const cited = (source: string) => citations("a.test.ts", source, ["THR", "SSE"]);

describe("citations", () => {
  it("finds ids in titles of tests and groups, with their line", () => {
    const found = cited('describe("order (THR-3)", () => {\n  it("is gapless (THR-3, SSE-1)", () => {});\n});');
    expect(found.map(({ id, line }) => [id, line])).toEqual([
      ["THR-3", 1],
      ["THR-3", 2],
      ["SSE-1", 2],
    ]);
    expect(found[1]).toMatchObject({ file: "a.test.ts", text: "is gapless (THR-3, SSE-1)" });
  });

  it("finds ids in titles of tables and in template titles", () => {
    const source = `it.each([1])("case %s (THR-1)", () => {});\nit(\`case \${1} (SSE-2)\`, () => {});`;
    expect(cited(source).map(({ id }) => id)).toEqual(["THR-1", "SSE-2"]);
  });

  it("finds ids in comments of every kind, each once", () => {
    const source = "// THR-1\nconst a = 1; // THR-2\n/**\n * Also THR-3.\n */\nfunction b() {\n  // THR-4\n}\n";
    expect(cited(source).map(({ id, line }) => [id, line])).toEqual([
      ["THR-1", 1],
      ["THR-2", 2],
      ["THR-3", 4],
      ["THR-4", 7],
    ]);
  });

  it("does not count data, skipped tests, other words, or longer names", () => {
    const source = [
      'const data = "THR-1";',
      'it.skip("later (THR-2)", () => {});',
      'describe.skip("later", () => { it("inner (THR-3)", () => {}); });',
      'it("reads UTF-8, XTHR-4 and SHA-256", () => {});',
    ].join("\n");
    expect(cited(source)).toEqual([]);
  });
});

describe("the table", () => {
  it("is read row by row, with its state", () => {
    const { requirements, problems } = parseTable(
      "# t\n| id | from | requirement | state |\n|---|---|---|---|\n| THR-1 | brief | Threads | delivered |\n| THR-2 | ours | More | planned |\n",
    );
    expect(requirements).toEqual([
      { id: "THR-1", text: "Threads", state: "delivered" },
      { id: "THR-2", text: "More", state: "planned" },
    ]);
    expect(problems).toEqual([]);
  });

  it("refuses an unknown state and a second row of one id", () => {
    const { problems } = parseTable(
      "| THR-1 | a | b | done |\n| THR-2 | a | b | partly |\n| THR-2 | a | b | partly |\n",
    );
    expect(problems).toEqual([
      'THR-1 has the state "done"; it must be one of delivered, partly, planned.',
      "THR-2 stands twice in docs/requirements.md.",
    ]);
  });

  it("of this repository holds every requirement", () => {
    const { requirements, problems } = parseTable(readFileSync("docs/requirements.md", "utf8"));
    expect(problems).toEqual([]);
    expect(requirements).toHaveLength(Object.values(FAMILIES).reduce((sum, count) => sum + count, 0));
  });
});

describe("problems", () => {
  const one: Requirement = { id: "THR-1", text: "Threads", state: "delivered" };
  const proof = { id: "THR-1", file: "a.test.ts", line: 1, text: "makes a thread (THR-1)" };

  it("are none when what is delivered is cited", () => {
    expect(findProblems([one], [proof], { THR: 1 })).toEqual([]);
    expect(findProblems([{ ...one, state: "planned" }], [], { THR: 1 })).toEqual([]);
  });

  it("are a delivered requirement without a test, an unknown id, a missing row, and an uncounted row", () => {
    expect(findProblems([one], [], { THR: 1 })).toEqual([expect.stringContaining("THR-1 is marked as delivered")]);
    expect(findProblems([one], [proof, { ...proof, id: "THR-9" }], { THR: 1 })).toEqual([
      "a.test.ts:1 cites THR-9, which is no requirement.",
    ]);
    expect(findProblems([one], [proof], { THR: 2 })).toEqual(["THR-2 is missing in docs/requirements.md."]);
    expect(findProblems([one], [proof], {})).toEqual([expect.stringContaining("THR-1 is not counted")]);
  });

  it("stand beside a report that names each citing test", () => {
    expect(report([one], [proof])).toBe("THR-1  delivered Threads\n         a.test.ts:1  makes a thread (THR-1)");
  });
});
