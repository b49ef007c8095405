import { type ChildProcess, spawn } from "node:child_process";

/** How a program that ran to its end did. */
export interface Outcome {
  readonly code: number;
  readonly output: string;
}

const running = new Set<ChildProcess>();
let isRefusing = false;

/** Has a program that was started elsewhere ended with the others. */
export function endWithOthers(child: ChildProcess): void {
  running.add(child);
  child.once("close", () => running.delete(child));
}

/** Ends every program under way and lets no other begin: the launcher itself is being ended. */
export function endRunning(): void {
  isRefusing = true;
  for (const child of running) child.kill("SIGTERM");
}

const OUTPUT_CHARS_MAX = 200_000;

interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly timeoutMs: number;
  /** Called with each line as it comes. */
  readonly onLine?: (line: string) => void;
}

/** Runs a program to its end within `timeoutMs` and returns its exit code and what it said. Never throws for a failing program. */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<Outcome> {
  if (isRefusing) return Promise.resolve({ code: 1, output: "interrupted" });
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      uid: options.uid,
      gid: options.gid,
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(child);
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
    let output = "";
    let rest = "";
    const take = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
      const lines = (rest + chunk.toString()).split(/\r?\n|\r/);
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.trim() !== "") options.onLine?.(line);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve({ code: 127, output: error.message });
    });
    child.on("close", (code, signal) => {
      running.delete(child);
      clearTimeout(timer);
      const late = signal === "SIGKILL" ? `\nended after ${options.timeoutMs / 1000} s without finishing` : "";
      resolve({ code: code ?? 1, output: output + late });
    });
  });
}

/** The last lines of a failed program's output, for a person. */
export function tail(output: string, lines = 12): string {
  return output.trimEnd().split("\n").slice(-lines).join("\n");
}
