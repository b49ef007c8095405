/** The statistics of the benches. Deterministic: the same samples and seed give the same numbers. */

export interface Interval {
  low: number;
  high: number;
}

export interface Summary {
  n: number;
  p50: number;
  p90: number;
  p99: number;
  min: number;
  max: number;
  mean: number;
}

/** A difference of two arms measured in the same rounds, in the unit of the samples. */
export interface PairedDifference {
  n: number;
  p50: number;
  p99: number;
  /** 95 % bootstrap interval of p50. */
  p50_ci95: Interval;
}

export const BOOTSTRAP_RESAMPLES = 2000;

/** A seeded generator of numbers in [0, 1) (mulberry32): small, and good enough to shuffle and to resample. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A shuffled copy (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}

/** The q-quantile with linear interpolation between order statistics (Hyndman and Fan's type 7, the default of R and NumPy). */
export function quantile(samples: readonly number[], q: number): number {
  if (samples.length === 0) return Number.NaN;
  const sorted = [...samples].sort((a, b) => a - b);
  const position = (sorted.length - 1) * q;
  const below = sorted[Math.floor(position)] as number;
  const above = sorted[Math.ceil(position)] as number;
  return below + (above - below) * (position - Math.floor(position));
}

export function mean(samples: readonly number[]): number {
  return samples.reduce((sum, value) => sum + value, 0) / samples.length;
}

export function summarize(samples: readonly number[]): Summary {
  return {
    n: samples.length,
    p50: quantile(samples, 0.5),
    p90: quantile(samples, 0.9),
    p99: quantile(samples, 0.99),
    min: Math.min(...samples),
    max: Math.max(...samples),
    mean: mean(samples),
  };
}

/** 95 % percentile-bootstrap interval of a statistic over independent units (rounds, not requests of one round). */
export function bootstrapInterval(
  units: readonly number[],
  statistic: (resample: readonly number[]) => number,
  seed: number,
  resamples = BOOTSTRAP_RESAMPLES,
): Interval {
  const random = seededRandom(seed);
  const values = Array.from({ length: resamples }, () =>
    statistic(units.map(() => units[Math.floor(random() * units.length)] as number)),
  );
  return { low: quantile(values, 0.025), high: quantile(values, 0.975) };
}

/**
 * What `a` takes more than `b`, round by round. Several samples of one round are one unit (their mean): they shared
 * the machine at the same moment and are not independent. Rounds that lack an arm are left out.
 */
export function pairedDifference(
  a: ReadonlyMap<number, readonly number[]>,
  b: ReadonlyMap<number, readonly number[]>,
  seed: number,
): PairedDifference {
  const differences: number[] = [];
  for (const [round, samples] of a) {
    const others = b.get(round);
    if (samples.length > 0 && others !== undefined && others.length > 0) differences.push(mean(samples) - mean(others));
  }
  return {
    n: differences.length,
    p50: quantile(differences, 0.5),
    p99: quantile(differences, 0.99),
    p50_ci95: bootstrapInterval(differences, (resample) => quantile(resample, 0.5), seed),
  };
}

/** The ratio of the medians of two arms, with a bootstrap interval over rounds that both have. */
export function pairedRatio(
  a: ReadonlyMap<number, readonly number[]>,
  b: ReadonlyMap<number, readonly number[]>,
  seed: number,
): { ratio: number; ci95: Interval; n: number } {
  const rounds = [...a.keys()].filter((round) => (a.get(round)?.length ?? 0) > 0 && (b.get(round)?.length ?? 0) > 0);
  const medianOver = (arm: ReadonlyMap<number, readonly number[]>, chosen: readonly number[]) =>
    quantile(
      chosen.map((round) => mean(arm.get(round) ?? [])),
      0.5,
    );
  const ratioOver = (chosen: readonly number[]) => medianOver(a, chosen) / medianOver(b, chosen);
  return { ratio: ratioOver(rounds), ci95: bootstrapInterval(rounds, ratioOver, seed), n: rounds.length };
}
