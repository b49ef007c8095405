import { describe, expect, it } from "vitest";
import { graveHoles, lockProblems } from "./packages";

const GOOD = { integrity: "sha512-abc", version: "1.0.0" };

describe("the check of packages", () => {
  it("lets pass what is pinned by its hash, and the workspace's own folders (SEC-2)", () => {
    const packages = {
      "": {},
      backend: {},
      "node_modules/pg": GOOD,
      "node_modules/dev-model": { link: true, resolved: "x" },
    };
    expect(lockProblems({ packages })).toEqual([]);
  });

  it("names what is not pinned, is pinned weakly, or comes from an address of its own (SEC-2)", () => {
    const packages = {
      "node_modules/a": {},
      "node_modules/b": { integrity: "sha1-abc" },
      "node_modules/c": { ...GOOD, resolved: "git+ssh://somewhere/c.git" },
    };
    expect(lockProblems({ packages }).map((problem) => problem.slice(0, 14))).toEqual([
      "node_modules/a",
      "node_modules/b",
      "node_modules/c",
    ]);
  });

  it("tells grave holes from others, and a registry that says nothing from one that knows of none (SEC-2)", () => {
    const hole = (severity: string) => ({ name: "left", severity, range: "<2" });
    const vulnerabilities = { a: hole("critical"), b: hole("high"), c: hole("moderate") };
    expect(graveHoles(JSON.stringify({ vulnerabilities }))).toHaveLength(2);
    expect(graveHoles(JSON.stringify({ vulnerabilities: {} }))).toEqual([]);
    expect(graveHoles(JSON.stringify({ message: "405 Method Not Allowed", statusCode: 405 }))).toBeNull();
  });
});
