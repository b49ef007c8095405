import { readFileSync } from "node:fs";
import { writePrivate } from "./files";

/** What people and programs need to talk to the running stack; `set -a; . .graphyn/env` puts it into a shell. */
export type Coordinates = Readonly<Record<string, string>>;

export function writeEnv(file: string, coordinates: Coordinates): void {
  const lines = Object.entries(coordinates).map(([name, value]) => `${name}=${value}`);
  writePrivate(file, `${lines.join("\n")}\n`);
}

/** Reads what `writeEnv` wrote; empty if there is no such file. */
export function readEnv(file: string): Coordinates {
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return {};
  }
  const pairs = text.split("\n").filter((line) => line.includes("="));
  return Object.fromEntries(pairs.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}
