/**
 * `npm run chaos`: rounds of faults on a stack of its own, each with the next seed, until the time is over; after each the oracle looks at
 * everything. With GRAPHYN_HOME on a file system of at most 4 GiB (a tmpfs, say) that is filled, too. `--seed N` (else a random one), `--minutes M` (5), `--round-seconds S` (30), `--out FOLDER`. Ends with 1 when anything was found.
 */
import { parseArgs } from "node:util";
import { describeMachine } from "../lib/machine";
import { commitOf, writeResult } from "../lib/result";
import { withStops } from "../lib/stack";
import { FAULTS, type FaultName } from "./faults";
import { makeParties } from "./parties";
import { type Result, report } from "./report";
import { playRound } from "./round";
import { startChaos } from "./stack";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() & 0x7fffffff) },
    minutes: { type: "string", default: "5" },
    "round-seconds": { type: "string", default: "30" },
    out: { type: "string", default: new URL("../results", import.meta.url).pathname },
  },
});
/** A round in so many has a Letta that is killed: until it is back, no agent answers, and little else can be seen. */
const LETTA_KILLED_EVERY = 3;
/** One fault in so many milliseconds of a round. */
const FAULT_EVERY_MS = 2_000;
const seed = Number(values.seed);
const roundMs = Number(values["round-seconds"]) * 1000;
const result: Result = {
  bench: "chaos",
  date: new Date().toISOString(),
  commit: commitOf(),
  machine: describeMachine(),
  seed,
  rounds: [],
};
const begun = performance.now();
const say = (text: string) => console.log(`${((performance.now() - begun) / 1000).toFixed(1).padStart(6)} s  ${text}`);
console.log(`seed ${seed}`);
await withStops(async (stops) => {
  const chaos = await startChaos("chaos", stops);
  const parties = await makeParties(chaos, ["quetzalcanary", "ptarmigancanary"]);
  say("the stack runs");
  const names = Object.keys(FAULTS) as FaultName[];
  const until = performance.now() + Number(values.minutes) * 60_000;
  for (let next = seed; performance.now() < until; next++) {
    say(`seed ${next}`);
    const count = Math.round(roundMs / FAULT_EVERY_MS);
    const without = new Set<FaultName>(next % LETTA_KILLED_EVERY === 0 ? [] : ["kill -9 of Letta"]);
    if (!chaos.postgres.isOnSmallDisk) without.add("disk full");
    const faults = names.filter((name) => !without.has(name));
    const played = await playRound(chaos, parties, { seed: next, ms: roundMs, faults, count, say });
    result.rounds.push(played);
    say(`seed ${next}: ${JSON.stringify(played.figures)}, ${played.findings.length} findings`);
    for (const { invariant, text } of played.findings) say(`  ${invariant} ${text}`);
  }
});
console.log(`\n${report(result)}`);
writeResult(values.out, "chaos.json", `${JSON.stringify(result)}\n`);
writeResult(values.out, "chaos.md", report(result));
process.exit(result.rounds.some(({ findings }) => findings.length > 0) ? 1 : 0);
