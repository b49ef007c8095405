/** A bucket that is full at first and fills again steadily; each take costs one. */
export interface Bucket {
  /** 0 when there is one to take, which is taken; else the milliseconds until there is. */
  take(now: number): number;
}

export function makeBucket({ size, perSecond }: { size: number; perSecond: number }): Bucket {
  let level = size;
  let at: number | null = null;
  return {
    take(now) {
      level = Math.min(size, level + ((now - (at ?? now)) * perSecond) / 1000);
      at = now;
      if (level < 1) return Math.ceil(((1 - level) * 1000) / perSecond);
      level -= 1;
      return 0;
    },
  };
}
