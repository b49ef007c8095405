import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FAULTS, type FaultName } from "../../../bench/chaos/faults";
import { makeParties } from "../../../bench/chaos/parties";
import type { Party } from "../../../bench/chaos/party";
import { playRound } from "../../../bench/chaos/round";
import { type Chaos, startChaos } from "../../../bench/chaos/stack";

/** How long faults happen in a round: one each second. `npm run chaos` has longer ones, and more of them. */
const ROUND_MS = 8_000;
const PLAYED_MS_MAX = 300_000;
/**
 * The same in every run, so that a change is judged by what it changes; CHAOS_SEED puts another in the second's place, and `npm run chaos`
 * plays as many as there is time for.
 */
const SEEDS = [5, Number(process.env.CHAOS_SEED ?? 735_732_882)] as const;
/** What must happen in every run; in the other round, whatever comes first. */
const ALWAYS: readonly FaultName[] = [
  "kill -9 of Graphyn",
  "kill -9 of Graphyn after a commit it never heard of",
  "kill -9 of Letta",
  "PostgreSQL restarted",
  "PostgreSQL paused",
  "clock an hour back",
  "model that hangs",
  "one request fifty times at once",
];
/** A start of Letta takes as long as all the rest: one in each run. The others take long, or all of a machine's something, and are for `npm run chaos`; a long pause has a test besides (pause.test.ts). */
const NOT_AT_RANDOM: readonly FaultName[] = [
  "kill -9 of Letta",
  "Graphyn paused for long",
  "PostgreSQL without a free connection",
  "disk full",
];
const AT_RANDOM = (Object.keys(FAULTS) as FaultName[]).filter((name) => !NOT_AT_RANDOM.includes(name));

describe("two processes, their database, Letta and its models, hurt at random while people talk", () => {
  const stops: (() => Promise<unknown>)[] = [];
  let chaos: Chaos;
  let parties: Party[];
  beforeAll(async () => {
    chaos = await startChaos("chaos-test", stops);
    parties = await makeParties(chaos, ["quetzalcanary", "ptarmigancanary"]);
  }, PLAYED_MS_MAX);
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  }, PLAYED_MS_MAX);

  it.each([
    { what: "the worst", seed: SEEDS[0], faults: ALWAYS },
    { what: "any", seed: SEEDS[1], faults: AT_RANDOM },
  ])(
    "keep every invariant I1 to I9 through $what of faults, by a seed (THR-3, SSE-4, LET-7)",
    async ({ seed, faults }) => {
      const played = await playRound(chaos, parties, {
        seed,
        ms: ROUND_MS,
        faults,
        count: ALWAYS.length,
        say: () => undefined,
      });
      expect(played.findings, JSON.stringify(played.timeline, null, 1)).toEqual([]);
      expect(played.timeline.filter(({ what }) => what.includes("could not be done"))).toEqual([]);
      expect(played.figures.acknowledged).toBeGreaterThan(0);
      expect(played.figures.entries).toBeGreaterThan(played.figures.acknowledged);
    },
    PLAYED_MS_MAX,
  );
});
