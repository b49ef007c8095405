/** Which faults come when: decided by the seed alone, so that a schedule can be played again. */
import { seededRandom, shuffled } from "../lib/stats";

export interface Planned<Name extends string> {
  /** Milliseconds from the round's beginning. */
  at: number;
  name: Name;
}

/** Each fault once before any comes again, spread over the round, with nothing in the last tenth. */
export function schedule<Name extends string>(
  seed: number,
  { names, count, ms }: { names: readonly Name[]; count: number; ms: number },
): Planned<Name>[] {
  const random = seededRandom(seed);
  const chosen: Name[] = [];
  while (chosen.length < count && names.length > 0) chosen.push(...shuffled(names, random));
  const slot = (ms * 0.9) / count;
  return chosen.slice(0, count).map((name, index) => ({ name, at: Math.round((index + random()) * slot) }));
}
