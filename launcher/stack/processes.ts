import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "../fault";
import { identify, isRunning, type ProcessIdentity } from "./process-identity";
import { tail } from "./run";

const POLL_INTERVAL_MS = 50;
const KILL_WAIT_MS = 5_000;

let isRefusing = false;

/** From here on nothing is launched: the launcher is ending what runs, and a straggler would be left behind. */
export function refuseLaunches(): void {
  isRefusing = true;
}

interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Both its outputs are appended here. */
  readonly log: string;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/**
 * Starts a server that outlives this process (`--detach`) and does not see the terminal's Ctrl-C: the launcher ends its
 * servers itself, in order.
 */
export function launch({ command, args, cwd, env, log, uid, gid }: Launch): ProcessIdentity {
  if (isRefusing) throw new Fault("Interrupted.", "Run this again to go on.");
  mkdirSync(dirname(log), { recursive: true });
  const out = openSync(log, "a", 0o600);
  const child = spawn(command, args, { cwd, env, uid, gid, detached: true, stdio: ["ignore", out, out] });
  closeSync(out);
  child.on("error", () => undefined); // reported below, and by `untilReady`, as a process that is not there
  child.unref();
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (!identity) throw new Fault(`${command} could not be started.`, `See ${log}.`);
  return identity;
}

/** What is waited for: `isReady` is asked until it says yes, the process ends, or the time is over. */
interface Readiness {
  readonly name: string;
  readonly process: ProcessIdentity;
  readonly log: string;
  readonly timeoutMs: number;
  readonly isReady: () => Promise<boolean>;
}

export async function untilReady({ name, process, log, timeoutMs, isReady }: Readiness): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  // Both must hold: what answers on the port could be another program's server.
  while (!(await isReady()) || !isRunning(process)) {
    if (!isRunning(process))
      throw new Fault(`${name} ended while starting. Its last lines:\n${logTail(log)}`, `All of it: ${log}`);
    if (Date.now() > deadline) {
      throw new Fault(
        `${name} did not become ready within ${timeoutMs / 1000} s. Its last lines:\n${logTail(log)}`,
        `All of it: ${log}`,
      );
    }
    await sleep(POLL_INTERVAL_MS);
  }
}

/**
 * Ends a process: asks by `signal`, and after `graceMs` kills it with its whole group. A process that is no longer the one
 * that was started is left alone. True if there was anything to end.
 */
export async function end(process: ProcessIdentity, signal: NodeJS.Signals, graceMs: number): Promise<boolean> {
  if (!isRunning(process)) return false;
  send(process.pid, signal);
  if (await untilGone(process, graceMs)) return true;
  send(-process.pid, "SIGKILL");
  await untilGone(process, KILL_WAIT_MS);
  return true;
}

async function untilGone(process: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isRunning(process)) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_INTERVAL_MS);
  }
  return true;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone between the look and the signal
  }
}

export function logTail(log: string): string {
  try {
    return tail(readFileSync(log, "utf8"));
  } catch {
    return "(no log)";
  }
}
