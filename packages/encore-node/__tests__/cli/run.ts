import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach } from "vitest";

const BIN = path.join(import.meta.dirname, "../../bin/encore-node.js");
const ANSWER_MS_MAX = 20_000;
const POLL_MS = 50;

const running: ChildProcess[] = [];

afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
});

/** A command that is under way, with what it has written so far. */
export interface Running {
  child: ChildProcess;
  output: () => string;
  /** Ends with its exit code; after `signal`, when one is given. */
  end: (signal?: NodeJS.Signals) => Promise<number | null>;
}

/** Starts `encore-node` with these arguments; what still runs after a test is killed. */
export function encoreNode(args: string[], environment: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { PATH: process.env.PATH ?? "", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.push(child);
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    output += chunk;
  });
  const closed = once(child, "close");
  return {
    child,
    output: () => output,
    end: async (signal) => {
      if (signal) child.kill(signal);
      await closed;
      return child.exitCode;
    },
  };
}

/** Asks again until `ready` says so; with what was last heard in the error otherwise. */
export async function until<T>(ask: () => Promise<T>, ready: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + ANSWER_MS_MAX;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const answer = await ask();
      if (ready(answer)) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    await sleep(POLL_MS);
  }
  throw new Error(`It did not happen within ${ANSWER_MS_MAX} ms; last: ${String(last)}`);
}
