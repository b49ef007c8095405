import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Hints } from "./hints";
import { createPulse } from "./pulse";

const INTERVAL_MS = 50;

describe("the pulse of a process", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function pulse({ storing = async () => {} }: { storing?: () => Promise<void> } = {}) {
    const sent: { at: number; hints: Hints }[] = [];
    const begun = performance.now();
    const made = createPulse({
      intervalMs: INTERVAL_MS,
      before: storing,
      send: async (hints) => void sent.push({ at: Math.round(performance.now() - begun), hints }),
    });
    return { ...made, sent };
  }

  it("tells at once after a pause, and then what came meanwhile with the next beat (SSE-3)", async () => {
    const { mark, sent } = pulse();
    mark("org_1", "thread_1", "log");
    await vi.advanceTimersByTimeAsync(10);
    mark("org_1", "thread_2", "text");
    mark("org_1", "thread_2", "log");
    mark("org_2", "thread_2", "people");
    await vi.advanceTimersByTimeAsync(200);
    expect(sent).toEqual([
      { at: 0, hints: [{ orgId: "org_1", threadId: "thread_1", changes: new Set(["log"]) }] },
      {
        at: INTERVAL_MS / 2,
        hints: [
          { orgId: "org_1", threadId: "thread_2", changes: new Set(["text", "log"]) },
          { orgId: "org_2", threadId: "thread_2", changes: new Set(["people"]) },
        ],
      },
    ]);
  });

  it("beats twenty times a second at most, however much there is to tell (SSE-3)", async () => {
    const { mark, sent } = pulse();
    for (let ms = 0; ms < 10_000; ms++) {
      mark("org_1", `thread_${ms}`, "log");
      await vi.advanceTimersByTimeAsync(1);
    }
    await vi.advanceTimersByTimeAsync(INTERVAL_MS);
    expect(sent.length).toBeLessThanOrEqual(205); // those of ten seconds, one at once, and four that were spared
    expect(sent.flatMap(({ hints }) => (hints === "all" ? [] : hints))).toHaveLength(10_000);
  });

  it("lets an entry of the log go before its time while words come all the time, twenty times a second with them (SSE-3)", async () => {
    const { mark, sent } = pulse();
    const marked: number[] = [];
    for (let ms = 0; ms < 10_000; ms++) {
      mark("org_1", "thread_1", "text");
      if (ms % 101 === 100) marked.push(ms);
      if (ms % 101 === 100) mark("org_1", `thread_${ms}`, "log");
      await vi.advanceTimersByTimeAsync(1);
    }
    await vi.advanceTimersByTimeAsync(2 * INTERVAL_MS);
    expect(sent.length).toBeLessThanOrEqual(205);
    const waits = marked.map((ms) => {
      const told = sent.find(
        ({ hints }) => hints !== "all" && hints.some(({ threadId }) => threadId === `thread_${ms}`),
      );
      return (told?.at ?? Number.POSITIVE_INFINITY) - ms;
    });
    expect(Math.max(...waits)).toBeLessThanOrEqual(INTERVAL_MS / 2);
  });

  it("takes along what it stores, and does not wait for a store that is slow (SSE-3)", async () => {
    let store = async () => {
      mark("org_1", "thread_1", "text");
    };
    const { mark, want, sent } = pulse({ storing: () => store() });
    want();
    await vi.advanceTimersByTimeAsync(1);
    expect(sent).toHaveLength(1);

    let finish = () => {};
    store = () =>
      new Promise((resolve) => {
        finish = () => {
          mark("org_1", "thread_3", "text");
          resolve();
        };
      });
    mark("org_1", "thread_2", "log");
    await vi.advanceTimersByTimeAsync(3 * INTERVAL_MS);
    expect(sent).toHaveLength(2); // the log's hint left although the store hangs
    store = async () => {};
    finish();
    await vi.advanceTimersByTimeAsync(2 * INTERVAL_MS);
    expect(sent.map(({ hints }) => (hints === "all" ? [] : hints.map(({ threadId }) => threadId)))).toEqual([
      ["thread_1"],
      ["thread_2"],
      ["thread_3"],
    ]);
  });

  it("says that everything changed when the threads are too many to remember (SSE-3)", async () => {
    const { mark, sent } = pulse();
    for (let index = 0; index < 6_000; index++) mark("org_1", `thread_${index}`, "log");
    await vi.advanceTimersByTimeAsync(1);
    expect(sent.map(({ hints }) => hints)).toEqual(["all"]);
  });
});
