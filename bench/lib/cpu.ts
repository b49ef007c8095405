/** CPU seconds of a process and all below it, from /proc. */
import { readdirSync } from "node:fs";
import { readCpuTicks, readStat, TICKS_PER_SECOND } from "./machine";

type Stats = Map<number, NonNullable<ReturnType<typeof readStat>>>;

/**
 * CPU seconds spent so far by the tree under `root`: every live process's own time and that of children it has waited for.
 * Resolution is a tick (10 ms), so sum it over many units.
 */
export function treeCpuSeconds(root: number, stats: Stats = readAll()): number {
  const belongs = (pid: number): boolean => {
    for (let at = pid; at > 1; at = stats.get(at)?.parent ?? 0) if (at === root) return true;
    return false;
  };
  let ticks = 0;
  for (const [pid, stat] of stats) if (belongs(pid)) ticks += stat.ownTicks + stat.reapedTicks;
  return ticks / TICKS_PER_SECOND;
}

/** Processes to account for, by role: for example `{letta: 123, postgres: 456}`. */
export type Accounted = Readonly<Record<string, number>>;

/** This process counts for itself alone: the servers of a bench are its children and have roles of their own. */
export function cpuSecondsByRole(roots: Accounted): Record<string, number> {
  const stats = readAll();
  return Object.fromEntries(
    Object.entries(roots).map(([role, pid]) => [role, pid === process.pid ? ownSeconds() : treeCpuSeconds(pid, stats)]),
  );
}

export function ownSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function readAll(): Stats {
  const stats: Stats = new Map();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = readStat(Number(entry));
    if (stat !== null) stats.set(Number(entry), stat);
  }
  return stats;
}

export function cpuDifference(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(after).map(([role, seconds]) => [role, seconds - (before[role] ?? 0)]));
}

/** From now until it is called: the share of all cores that was used by processes other than the stack's and the bench's. */
export function watchOthers(roots: readonly number[]): () => number {
  const own = () => roots.reduce((sum, pid) => sum + treeCpuSeconds(pid), 0) + ownSeconds();
  const ownBefore = own();
  const before = readCpuTicks();
  return () => {
    const after = readCpuTicks();
    const busy = (after.busy - before.busy) / TICKS_PER_SECOND - (own() - ownBefore);
    return Math.max(0, busy / ((after.total - before.total) / TICKS_PER_SECOND));
  };
}
