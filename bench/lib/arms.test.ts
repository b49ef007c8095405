import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { type Arm, byRound, measure, samplesOf } from "./arms";
import { cpuSecondsByRole, treeCpuSeconds } from "./cpu";

const rig = { seed: 7, rounds: 6, warmUpRounds: 2, atOnce: 1, accounted: {}, budgetMs: 10_000, settleMsMax: 0 };

function arm(name: string, first_text_ms: number, log: string[] = []): Arm {
  return {
    name,
    prepare: async (slot) => async () => {
      log.push(name);
      if (name === "broken") throw new Error("no answer");
      return { first_text_ms: first_text_ms + slot, total_ms: 2 * first_text_ms };
    },
  };
}

it("visits every arm once a round, in changing order, and discards the warm-up", async () => {
  const log: string[] = [];
  const visits = await measure([arm("a", 1, log), arm("b", 2, log)], rig);
  const orders = Array.from({ length: 8 }, (_, round) => log.slice(round * 2, round * 2 + 2).join(""));
  expect(orders.every((order) => order === "ab" || order === "ba")).toBe(true);
  expect(new Set(orders).size).toBe(2);
  expect(visits.map((visit) => visit.round)).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
  const again: string[] = [];
  await measure([arm("a", 1, again), arm("b", 2, again)], rig);
  expect(again).toEqual(log);
});

it("groups what was at once into one round, and counts failures instead of hiding them", async () => {
  const visits = await measure([arm("a", 1), arm("broken", 1)], { ...rig, rounds: 1, atOnce: 3 });
  expect(byRound(visits, "a")).toEqual(new Map([[0, [1, 2, 3]]]));
  expect(samplesOf(visits, "broken")).toEqual([]);
  expect(visits.find((visit) => visit.arm === "broken")?.failures).toHaveLength(3);
});

it("stops starting rounds when its time is over", async () => {
  const visits = await measure([arm("a", 1)], { ...rig, rounds: 1000, warmUpRounds: 0, budgetMs: 0 });
  expect(visits).toHaveLength(1);
});

it("counts the CPU time of a process and of children it has waited for", async () => {
  const before = treeCpuSeconds(process.pid);
  const burn = "for (let i = 0; i < 1e9; i++);";
  spawnSync(process.execPath, ["-e", burn]);
  expect(treeCpuSeconds(process.pid) - before).toBeGreaterThan(0.1);
  // As a role, this process stands for itself alone.
  const own = cpuSecondsByRole({ bench: process.pid }).bench ?? 0;
  spawnSync(process.execPath, ["-e", burn]);
  expect((cpuSecondsByRole({ bench: process.pid }).bench ?? 0) - own).toBeLessThan(0.1);
});
