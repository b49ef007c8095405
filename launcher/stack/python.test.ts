import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Fault } from "../fault";
import { choosePython, findPython, type Python } from "./python";
import { scratchDir } from "./scratch";

const python = (minor: number, more: Partial<Python> = {}): Python => ({
  path: `/usr/bin/python3.${minor}`,
  major: 3,
  minor,
  venv: true,
  pip: true,
  optimized: true,
  ...more,
});

/** A program that says of itself what a Python would. */
function pretend(answer: Python): string {
  const file = join(scratchDir(), "python3");
  writeFileSync(file, `#!/bin/sh\necho '${JSON.stringify(answer)}'\n`);
  chmodSync(file, 0o755);
  return file;
}

describe("the Python that Letta is installed with (RUN-1)", () => {
  it("is one that really runs here, found among the usual names", async () => {
    const found = await findPython();
    expect(found.minor).toBeGreaterThanOrEqual(11);
    expect(found.minor).toBeLessThanOrEqual(13);
  });

  it("is asked of each program, not read from its name", async () => {
    const old = pretend(python(8));
    const fitting = pretend(python(12));
    expect((await findPython([old, "/does/not/exist", fitting])).minor).toBe(12);
  });

  it("is an optimized build before a newer one that is not", () => {
    expect(choosePython([python(13, { optimized: false }), python(12, { venv: false }), python(11)]).minor).toBe(11);
    expect(choosePython([python(13, { optimized: false }), python(10)]).minor).toBe(13);
  });

  it("skips one that cannot install packages when another can", () => {
    const bare = python(13, { venv: false, pip: false });
    expect(choosePython([bare, python(11)]).minor).toBe(11);
  });

  it("may have pip alone", () => {
    expect(choosePython([python(12, { venv: false })]).pip).toBe(true);
  });

  it.each([
    [[], "no Python was found"],
    [[python(9)], "only Python 3.9 at /usr/bin/python3.9 was found"],
    [[python(14)], "only Python 3.14 at /usr/bin/python3.14 was found"],
    [[python(12, { venv: false, pip: false })], "has neither the venv module nor pip"],
  ])("a missing, old, new or bare one gets one sentence and a next step: %j", (found, sentence) => {
    let fault: unknown;
    try {
      choosePython(found);
    } catch (error) {
      fault = error;
    }
    expect(fault).toBeInstanceOf(Fault);
    expect((fault as Fault).message).toContain(sentence);
    expect((fault as Fault).nextStep).toMatch(/apt install python3/);
  });
});
