/** Signals and figures of processes (Linux: reads /proc). */
import { readdirSync, readFileSync } from "node:fs";
import { readStat } from "../lib/machine";

export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone between the look and the signal
  }
}

export function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && readStat(Number(entry))?.parent === pid)
    .map(Number);
}

/** Resident memory, MiB; 0 when the process is gone. */
export function residentMiB(pid: number): number {
  try {
    const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Math.round(Number(kib ?? 0) / 1024);
  } catch {
    return 0;
  }
}

/** Open files, sockets among them. */
export function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}
