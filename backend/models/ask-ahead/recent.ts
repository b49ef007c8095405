export interface Recent<T> {
  get(key: string): T | undefined;
  /** One that is larger than a sixteenth of all there is room for is not kept. */
  set(key: string, value: T, chars: number): void;
  /** What was kept. */
  delete(key: string): T | undefined;
}

interface Bounds {
  entriesMax: number;
  /** Over all entries. */
  charsMax: number;
}

/** What was kept last, bounded in number and size: the one kept longest ago goes first. */
export function createRecent<T>({ entriesMax, charsMax }: Bounds): Recent<T> {
  const kept = new Map<string, { value: T; chars: number }>();
  let total = 0;

  function drop(key: string): T | undefined {
    const entry = kept.get(key);
    if (entry === undefined) return undefined;
    kept.delete(key);
    total -= entry.chars;
    return entry.value;
  }

  return {
    get: (key) => kept.get(key)?.value,
    set(key, value, chars) {
      drop(key);
      if (chars > charsMax / 16) return;
      kept.set(key, { value, chars });
      total += chars;
      while (kept.size > entriesMax || total > charsMax) drop(kept.keys().next().value as string);
    },
    delete: drop,
  };
}
