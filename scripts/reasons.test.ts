import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { documentedReasons, reasonsIn, reasonsUnder } from "./reasons";

describe("reasons in a source file", () => {
  it("are found in every form in which the backend throws them", () => {
    const source = [
      'throw problem(ErrCode.PermissionDenied, "a_one", "m", "h");',
      'throw invalid("a_two", "m", "h");',
      'throw notFound("API key");',
      'throw new SourceError("a_three", "m", true);',
      'return { kind: "failed", reason: "a_four" };',
      'cancel({ by, reason: "not_an_error" });',
      `throw invalid(\`unknown_\${noun}\`, "m", "h");`,
      "const KINDS = { a_five: { retryable: true } } as const satisfies Record<string, Kind>;",
      "const ANSWERS = { a_six: { code: ErrCode.Aborted, hint } };",
    ].join("\n");
    expect(reasonsIn("a.ts", source).map(({ reason, status }) => [String(reason), status])).toEqual([
      ["a_one", 403],
      ["a_two", 400],
      ["api_key_not_found", 404],
      ["a_three", null],
      ["a_four", null],
      ["/^unknown_[a-z_]+$/", 400],
      ["a_five", null],
      ["agent_server_a_six", 409],
    ]);
  });
});

describe("docs/errors.md", () => {
  const documented = documentedReasons(readFileSync("docs/errors.md", "utf8"));
  const answered = reasonsUnder("backend");
  const covers = (reason: string | RegExp, word: string) =>
    typeof reason === "string" ? reason === word : reason.test(word);

  it("names every reason the backend can answer (THR-5)", () => {
    const missing = answered.filter(({ reason }) => !documented.some((row) => covers(reason, row.reason)));
    expect(missing.map(({ reason, file }) => `${reason} (${file})`)).toEqual([]);
    expect(answered.length).toBeGreaterThan(0);
  });

  it("names no reason that the backend cannot answer", () => {
    const invented = documented.filter((row) => !answered.some(({ reason }) => covers(reason, row.reason)));
    expect(invented.map((row) => row.reason)).toEqual([]);
  });

  it("gives the status that follows from the code of each (THR-5)", () => {
    const wrong = answered.flatMap(({ reason, status }) =>
      documented
        .filter((row) => status !== null && covers(reason, row.reason) && row.status !== String(status))
        .map((row) => `${row.reason}: ${row.status} is documented, ${status} is answered`),
    );
    expect(wrong).toEqual([]);
  });
});
