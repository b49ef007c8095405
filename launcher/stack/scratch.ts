import { lstatSync, mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";

const made: string[] = [];

/** For tests: an empty folder, removed after the test. */
export function scratchDir(): string {
  const dir = scratchDirForFile();
  made.push(dir);
  return dir;
}

/** The same for tests that go on with it in the next one; they remove it themselves. */
export function scratchDirForFile(): string {
  return mkdtempSync(join(tmpdir(), "graphyn-launcher-"));
}

export function removeScratch(dir: string): void {
  const data = join(dir, "data");
  // As root PostgreSQL's files lie elsewhere, since only the owner may enter a temporary folder.
  if (lstatSync(data, { throwIfNoEntry: false })?.isSymbolicLink())
    rmSync(readlinkSync(data), { recursive: true, force: true });
  rmSync(dir, { recursive: true, force: true });
}

afterEach(() => {
  for (const dir of made.splice(0)) removeScratch(dir);
});
