/** A bucket that is full at first and fills again steadily; each take costs one. */
export interface Bucket {
  /** 0 when there is one to take, which is taken; else the milliseconds until there is. */
  take(now: number): number;
  /** The same, without taking it. */
  wait(now: number): number;
}

export function makeBucket({ size, perSecond }: { size: number; perSecond: number }): Bucket {
  let level = size;
  let at: number | null = null;
  function wait(now: number): number {
    level = Math.min(size, level + ((now - (at ?? now)) * perSecond) / 1000);
    at = now;
    return level < 1 ? Math.ceil(((1 - level) * 1000) / perSecond) : 0;
  }
  return {
    wait,
    take(now) {
      const ms = wait(now);
      if (ms === 0) level -= 1;
      return ms;
    },
  };
}
