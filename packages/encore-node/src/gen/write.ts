import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { GeneratedFile } from "./codegen.js";

/** Writes `files` below `folder`, leaves unchanged ones untouched (watchers stay quiet), and removes what is no longer generated. */
export function writeGenerated(folder: string, files: GeneratedFile[]): void {
  for (const file of files) writeIfChanged(path.join(folder, file.path), file.text);
  const wanted = new Set(files.map((file) => path.join(folder, file.path)));
  const sweep = (dir: string): void => {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      const full = path.join(dir, entry.name);
      if (entry.isDirectory()) {
        sweep(full);
        if (readdirSync(full).length === 0) rmSync(full, { recursive: true });
      } else if (!wanted.has(full)) rmSync(full);
    }
  };
  sweep(folder);
}

/** Whole or not at all: a reader, or a second build at the same time, never sees half a file. */
export function writeIfChanged(file: string, text: string): void {
  if (existsSync(file) && readFileSync(file, "utf8") === text) return;
  mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, file);
}
