/**
 * The rig: arms measured in turns. In every round each arm gets one visit, in a random (seeded) order, so that whatever the
 * machine does at that moment, a warm cache, a neighbour, a clock step, meets all arms alike.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Accounted, cpuDifference, cpuSecondsByRole } from "./cpu";
import { seededRandom, shuffled } from "./stats";

/** One measured request. Times in ms since the request was sent. */
export interface Sample {
  first_text_ms: number;
  total_ms: number;
  /** Measured inside this request, for example a hop's own share; by name, in ms. */
  parts?: Record<string, number>;
}

export interface Arm {
  name: string;
  /** What must exist before the clock starts (a fresh conversation, an open stream); returns the request to measure. */
  prepare(slot: number): Promise<() => Promise<Sample>>;
}

export interface Visit {
  arm: string;
  round: number;
  samples: Sample[];
  failures: string[];
  /** From the first request to the last answer, ms. */
  wall_ms: number;
  /** CPU seconds of the visit by role, trailing work included, preparation not. */
  cpu_seconds: Record<string, number>;
}

export interface RigOptions {
  seed: number;
  rounds: number;
  warmUpRounds: number;
  atOnce: number;
  accounted: Accounted;
  /** Stop starting rounds after this time; what was measured counts. */
  budgetMs: number;
  /** The longest wait for the servers to come to rest, before and after a visit; `SETTLE_MS_MAX` unless given. */
  settleMsMax?: number;
}

/** Work that servers do after the last byte (storing a step, embedding a message) belongs to the visit that caused it. */
const SETTLE_MS_MAX = 400;
const SETTLE_STEP_MS = 30;
/** CPU seconds in one step that count as rest: one tick. */
const REST_SECONDS = 0.01;
const FAILURES_KEPT = 5;

export async function measure(arms: readonly Arm[], options: RigOptions): Promise<Visit[]> {
  const random = seededRandom(options.seed);
  const visits: Visit[] = [];
  const begin = performance.now();
  for (let round = -options.warmUpRounds; round < options.rounds; round++) {
    if (round > 0 && performance.now() - begin > options.budgetMs) break;
    for (const arm of shuffled(arms, random)) {
      const visit = await visitArm(arm, round, options);
      if (round >= 0) visits.push(visit);
    }
  }
  return visits;
}

async function visitArm(
  arm: Arm,
  round: number,
  { atOnce, accounted, settleMsMax = SETTLE_MS_MAX }: RigOptions,
): Promise<Visit> {
  const slots = Array.from({ length: atOnce }, (_, slot) => slot);
  const prepared: (() => Promise<Sample>)[] = [];
  for (const slot of slots) prepared.push(await arm.prepare(slot));
  await settle(accounted, settleMsMax);
  const before = cpuSecondsByRole(accounted);
  const begin = performance.now();
  const results = await Promise.allSettled(prepared.map((request) => request()));
  const wall_ms = performance.now() - begin;
  await settle(accounted, settleMsMax);
  const cpu = cpuDifference(cpuSecondsByRole(accounted), before);
  return {
    arm: arm.name,
    round,
    samples: results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
    failures: results
      .flatMap((result) => (result.status === "rejected" ? [String(result.reason)] : []))
      .slice(0, FAILURES_KEPT),
    wall_ms,
    cpu_seconds: cpu,
  };
}

/** Waits until the accounted processes (but this one) use no more than a tick of CPU in a step. */
async function settle(accounted: Accounted, msMax: number): Promise<void> {
  const servers = Object.fromEntries(Object.entries(accounted).filter(([, pid]) => pid !== process.pid));
  const spent = () => Object.values(cpuSecondsByRole(servers)).reduce((sum, seconds) => sum + seconds, 0);
  const until = performance.now() + msMax;
  let before = spent();
  while (performance.now() < until) {
    await sleep(SETTLE_STEP_MS);
    const now = spent();
    if (now - before <= REST_SECONDS) return;
    before = now;
  }
}

/** The samples of one arm by round, in the form the paired statistics take. */
export function byRound(visits: readonly Visit[], arm: string, value = (sample: Sample) => sample.first_text_ms) {
  return new Map(visits.filter((visit) => visit.arm === arm).map((visit) => [visit.round, visit.samples.map(value)]));
}

export function samplesOf(visits: readonly Visit[], arm: string): Sample[] {
  return visits.filter((visit) => visit.arm === arm).flatMap((visit) => visit.samples);
}

/** CPU milliseconds a request, by role. */
export function cpuMsPerRequest(visits: readonly Visit[], arm: string): Record<string, number> {
  const own = visits.filter((visit) => visit.arm === arm);
  const requests = own.reduce((sum, visit) => sum + visit.samples.length + visit.failures.length, 0);
  const roles = Object.keys(own[0]?.cpu_seconds ?? {});
  return Object.fromEntries(
    roles.map((role) => [
      role,
      (own.reduce((sum, visit) => sum + (visit.cpu_seconds[role] ?? 0), 0) * 1000) / Math.max(1, requests),
    ]),
  );
}
