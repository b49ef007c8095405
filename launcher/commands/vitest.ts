import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../paths";
import { readJson } from "../stack/files";
import { endWithOthers } from "../stack/run";

/** The part of vitest's JSON report that is counted. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  /** A test that does not run shows nothing: the summary counts it as failed. */
  readonly skipped: number;
}

/**
 * Runs vitest once, its output shown as it comes. A file that fails before its first test, an error outside all tests, and
 * a run that had to be ended count as one failure each.
 */
export async function runVitest(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  reportFile: string,
  timeoutMs: number,
): Promise<Counts> {
  rmSync(reportFile, { force: true });
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`];
  const code = await new Promise<number>((resolve) => {
    const child = spawn(process.execPath, [vitest, "run", ...reporters, ...args], {
      cwd: ROOT,
      env,
      stdio: ["ignore", "inherit", "inherit"],
    });
    endWithOthers(child);
    const timer = setTimeout(() => {
      console.log(`\n  vitest did not finish within ${timeoutMs / 60_000} min and is ended.`);
      child.kill("SIGKILL");
    }, timeoutMs);
    child.on("close", (exit) => {
      clearTimeout(timer);
      resolve(exit ?? 1);
    });
  });
  return count(readJson<Report>(reportFile), code);
}

export function count(report: Report | undefined, exitCode: number): Counts {
  if (!report) return { passed: 0, failed: 1, skipped: 0 };
  const brokenFiles = report.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0,
  ).length;
  const failed = report.numFailedTests + brokenFiles;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}
