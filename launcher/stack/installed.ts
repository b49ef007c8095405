import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const MARKER = ".complete";

/** Whether the folder holds a finished installation of exactly this (a version, or several joined). */
export function isInstalled(dir: string): boolean {
  return existsSync(join(dir, MARKER));
}

/**
 * Installs into `dir` unless that was finished before. The marker is written last, so what a killed or failed attempt left
 * is thrown away and done again. True if there was something to do.
 */
export async function installOnce(dir: string, install: () => Promise<void>): Promise<boolean> {
  if (isInstalled(dir)) return false;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  await install();
  writeFileSync(join(dir, MARKER), `${new Date().toISOString()}\n`);
  return true;
}
