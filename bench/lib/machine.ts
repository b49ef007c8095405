/** What machine this is, and whether it is quiet enough to be measured on (Linux: reads /proc). */
import { readdirSync, readFileSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

export interface Machine {
  cpu: string;
  cores: number;
  memory_gib: number;
  kernel: string;
  node: string;
}

/** CPU time of the whole machine since boot, in ticks. */
interface CpuTicks {
  busy: number;
  steal: number;
  total: number;
}

export interface Load {
  /** Share of all cores in use by anybody, 0 to 1. */
  busy: number;
  /** Share taken by the hypervisor for other guests, 0 to 1. */
  steal: number;
  busiest: string[];
}

const OBSERVE_MS = 3000;
const BUSY_MAX = 0.15;
const STEAL_MAX = 0.02;
/** USER_HZ: ticks a second in /proc/stat and /proc/<pid>/stat, 100 on every Linux that Node.js runs on. */
export const TICKS_PER_SECOND = 100;

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    kernel: `${release()} ${arch()}`,
    node: process.version,
  };
}

export function readCpuTicks(): CpuTicks {
  const fields = (readFileSync("/proc/stat", "utf8").split("\n", 1)[0] ?? "").trim().split(/\s+/).slice(1).map(Number);
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = fields;
  return {
    busy: user + nice + system + irq + softirq,
    steal,
    total: user + nice + system + idle + iowait + irq + softirq + steal,
  };
}

/** How busy the machine is now, seen over three seconds: the load average still remembers what has ended. */
export async function observeLoad(): Promise<Load> {
  const before = readCpuTicks();
  const processesBefore = processTicks();
  await sleep(OBSERVE_MS);
  const after = readCpuTicks();
  const total = Math.max(1, after.total - before.total);
  const busiest = [...processTicks()]
    .map(([pid, { ticks, name }]) => ({ pid, name, ticks: ticks - (processesBefore.get(pid)?.ticks ?? ticks) }))
    .sort((a, b) => b.ticks - a.ticks)
    .filter(({ ticks }) => ticks > 0)
    .slice(0, 5);
  return {
    busy: (after.busy - before.busy) / total,
    steal: (after.steal - before.steal) / total,
    busiest: busiest.map(({ pid, name, ticks }) => `${name} (${pid}): ${((ticks * 100) / total).toFixed(0)} %`),
  };
}

/** Why not to measure here now, or null when the machine is quiet. */
export function tooLoaded(load: Load): string | null {
  if (load.busy <= BUSY_MAX && load.steal <= STEAL_MAX) return null;
  const percent = (share: number) => `${(share * 100).toFixed(0)} %`;
  return (
    `The machine is busy (${percent(load.busy)} of all cores, ${percent(load.steal)} stolen; at most ${percent(BUSY_MAX)} and ` +
    `${percent(STEAL_MAX)} are allowed). Busiest: ${load.busiest.join(", ") || "unknown"}. ` +
    "Wait until they are done, or pass --loaded-machine-ok: the result then says so."
  );
}

function processTicks(): Map<number, { name: string; ticks: number }> {
  const result = new Map<number, { name: string; ticks: number }>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = readStat(Number(entry));
    if (stat !== null) result.set(Number(entry), { name: stat.name, ticks: stat.ownTicks });
  }
  return result;
}

/** A process's line in /proc; null when it has gone. `reapedTicks` are those of children that ended and were waited for. */
export function readStat(pid: number): { name: string; parent: number; ownTicks: number; reapedTicks: number } | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null;
  }
  // The name stands in parentheses and may itself contain spaces and parentheses.
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ");
  return {
    name: text.slice(text.indexOf("(") + 1, end),
    parent: Number(fields[1]),
    ownTicks: Number(fields[11]) + Number(fields[12]),
    reapedTicks: Number(fields[13]) + Number(fields[14]),
  };
}
