/** A result's stamp: when, where, what; read from what runs, never from what was meant to run. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeMachine, type Load, type Machine, observeLoad, tooLoaded } from "./machine";

export interface Stamp {
  bench: string;
  date: string;
  commit: string;
  machine: Machine;
  seed: number;
  /** The machine before the bench began. `override`: it was too busy and somebody measured all the same. */
  load_before: Load & { override: boolean };
}

/** Looks at the machine and throws when it is too busy to measure on, unless that was allowed. */
export async function stamp(bench: string, seed: number, loadedMachineOk: boolean): Promise<Stamp> {
  const load = await observeLoad();
  const refusal = tooLoaded(load);
  if (refusal !== null && !loadedMachineOk) throw new Error(refusal);
  return {
    bench,
    date: new Date().toISOString(),
    commit: commitOf(),
    machine: describeMachine(),
    seed,
    load_before: { ...load, override: refusal !== null },
  };
}

/** The commit of the working tree, with `+changes` when it differs from it. */
export function commitOf(): string {
  const git = (...args: string[]) => execFileSync("git", args, { encoding: "utf8" }).trim();
  try {
    return (
      git("rev-parse", "--short=12", "HEAD") +
      (git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "+changes")
    );
  } catch {
    return "unknown";
  }
}

/** Writes `<bench>.<extension>` into the results' folder and says where. */
export function writeResult(folder: string, name: string, text: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), text);
  console.log(`wrote ${name}`);
}

/** Puts the short form of a result into the README, between the marks of that name. */
export function updateReadme(name: string, content: string): void {
  const readme = new URL("../../README.md", import.meta.url);
  writeFileSync(readme, replaceSection(readFileSync(readme, "utf8"), name, content));
  console.log("wrote README.md");
}

/** Replaces what stands between `<!-- name -->` and `<!-- /name -->` (added when missing) of a Markdown text. Throws when the first mark is not there. */
export function replaceSection(markdown: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const from = markdown.indexOf(open);
  if (from < 0) throw new Error(`no "${open}" to put the result at`);
  const after = from + open.length;
  const end = markdown.indexOf(close, after);
  const rest = end < 0 ? markdown.slice(after) : markdown.slice(end + close.length);
  return `${markdown.slice(0, after)}\n${content.trim()}\n${close}${rest}`;
}

export function markdownTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

export function ms(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) < 10 ? value.toFixed(1) : value.toFixed(0);
}
