/** A bounded queue that is filled from callbacks and read by one `for await`. */
export interface PushQueue<T> extends AsyncIterable<T> {
  /** Throws when the reader is so far behind that the bound is reached. */
  push(item: T): void;
  end(): void;
  /** What was pushed before is read first. */
  fail(error: unknown): void;
}

export function createPushQueue<T>(itemsMax: number): PushQueue<T> {
  const items: T[] = [];
  let state: { kind: "open" } | { kind: "ended" } | { kind: "failed"; error: unknown } = { kind: "open" };
  let wake = () => {};

  const close = (next: typeof state) => {
    if (state.kind === "open") state = next;
    wake();
  };
  return {
    push(item) {
      if (state.kind !== "open") return;
      if (items.length >= itemsMax) throw new Error(`a queue of ${itemsMax} is full: its reader has stopped reading`);
      items.push(item);
      wake();
    },
    end: () => close({ kind: "ended" }),
    fail: (error) => close({ kind: "failed", error }),
    async *[Symbol.asyncIterator]() {
      for (;;) {
        while (items.length > 0) yield items.shift() as T;
        if (state.kind === "ended") return;
        if (state.kind === "failed") throw state.error;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = () => {};
      }
    },
  };
}
