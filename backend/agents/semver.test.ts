import fc from "fast-check";
import { expect, it } from "vitest";
import { type Bump, compareVersions, FIRST_VERSION, nextVersion } from "./semver";

it("begins at 0.1.0 and counts as semantic versioning says (LET-5)", () => {
  expect(FIRST_VERSION).toBe("0.1.0");
  expect(nextVersion("0.1.0", "minor")).toBe("0.2.0");
  expect(nextVersion("0.9.3", "minor")).toBe("0.10.0");
  expect(nextVersion("0.9.3", "patch")).toBe("0.9.4");
  expect(nextVersion("0.9.3", "major")).toBe("1.0.0");
});

it("a next version is always the newer one (LET-5)", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom<Bump>("major", "minor", "patch"), { maxLength: 50 }), (bumps) => {
      let version = FIRST_VERSION;
      for (const bump of bumps) {
        const next = nextVersion(version, bump);
        expect(compareVersions(next, version)).toBeGreaterThan(0);
        expect(compareVersions(version, next)).toBeLessThan(0);
        version = next;
      }
    }),
  );
});

it("takes nothing else for a version (LET-5)", () => {
  for (const text of ["", "1", "1.2", "1.2.3-beta", "v1.2.3", "1.2.3.4", "-1.0.0"])
    expect(() => nextVersion(text, "minor")).toThrow();
});
