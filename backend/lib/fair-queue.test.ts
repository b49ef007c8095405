import fc from "fast-check";
import { expect, it } from "vitest";
import { FairQueue } from "./fair-queue";
import { DEFAULT_LIMITS } from "./letta-client/config";

const LIMITS = { waitingMax: 100, waitingOfOneMax: 50, waitMsMax: 5_000 };
const refusal = (why: string) => new Error(why);
const turn = () => new Promise((resolve) => setImmediate(resolve));

it("gives a free place to the organization with the fewest, and among equals to the one served longest ago (LET-2, LET-8)", async () => {
  const queue = new FairQueue(2, LIMITS, refusal);
  const order: string[] = [];
  const held = new Map<string, (() => void)[]>();
  const enter = (org: string) =>
    queue.enter(org).then((release) => {
      order.push(org);
      held.set(org, [...(held.get(org) ?? []), release]);
    });
  const all = [..."AAAAABBC"].map(enter);
  await turn();
  expect(order.join("")).toBe("AA");
  const free = async (org: string) => {
    held.get(org)?.shift()?.();
    await turn();
  };
  await free("A"); // A holds one, B and C none: B came first
  await free("A"); // B holds one, A and C none: A has just been served
  await free("B");
  await free("C");
  expect(order.join("")).toMatch(/^AABC/);
  while (order.length < 8) for (const org of "ABC") await free(org);
  await Promise.all(all);
  for (const releases of held.values()) for (const release of releases) release();
  expect([queue.active, queue.waiting]).toEqual([0, 0]);
});

it("never exceeds its places, forgets nobody, and ends empty, whatever happens (LET-2)", async () => {
  const action = fc.record({ org: fc.constantFrom("A", "B", "C", "D"), abort: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(action, { maxLength: 40 }), async (places, actions) => {
      const queue = new FairQueue(places, LIMITS, refusal);
      let inside = 0;
      let most = 0;
      const outcomes = await Promise.all(
        actions.map(async ({ org, abort }) => {
          const controller = new AbortController();
          const entering = queue.enter(org, controller.signal);
          if (abort) controller.abort();
          try {
            const release = await entering;
            most = Math.max(most, ++inside);
            await turn();
            inside--;
            release();
            release(); // twice is once
            return "served";
          } catch (error) {
            return (error as Error).message;
          }
        }),
      );
      expect(most).toBeLessThanOrEqual(places);
      expect([queue.active, queue.waiting]).toEqual([0, 0]);
      outcomes.forEach((outcome, n) => {
        if (!actions[n]?.abort) expect(outcome).toBe("served");
      });
    }),
  );
});

it("refuses what it cannot hold, and what waited too long (LET-2)", async () => {
  const queue = new FairQueue(1, { waitingMax: 2, waitingOfOneMax: 1, waitMsMax: 20 }, refusal);
  const release = await queue.enter("A");
  const second = queue.enter("A");
  await expect(queue.enter("A")).rejects.toThrow("queue_full");
  const third = queue.enter("B");
  await expect(queue.enter("C")).rejects.toThrow("queue_full");
  await expect(second).rejects.toThrow("queue_wait");
  await expect(third).rejects.toThrow("queue_wait");
  release();
  (await queue.enter("C"))();
});

it("serves a single message after one of the places that 1000 of another organization wait for is free (LET-8)", async () => {
  const places = 16;
  const queue = new FairQueue(places, DEFAULT_LIMITS, refusal);
  const releases: (() => void)[] = [];
  const order: string[] = [];
  const enter = (org: string) =>
    queue.enter(org).then((release) => {
      order.push(org);
      releases.push(release);
    });
  const noisy = Array.from({ length: 1_000 + places }, () => enter("noisy"));
  const single = enter("single");
  await turn();
  expect([order.length, queue.waiting]).toEqual([places, 1_001]);
  releases.shift()?.();
  await turn();
  expect(order.at(-1)).toBe("single");
  while (queue.active > 0) {
    releases.shift()?.();
    await turn();
  }
  await Promise.all([...noisy, single]); // nobody was refused
  expect(order).toHaveLength(1_001 + places);
});

it("gives no more places than there are at the moment, and all of them when some come back (LET-2, LET-8)", async () => {
  let places = 4;
  const queue = new FairQueue(() => places, LIMITS, refusal);
  const releases: (() => void)[] = [];
  const enter = (org: string) => queue.enter(org).then((release) => releases.push(release));
  const all = Array.from({ length: 10 }, () => enter("A"));
  await turn();
  places = 2;
  for (let n = 0; n < 3; n++) releases.shift()?.();
  await turn();
  expect(queue.active).toBe(2); // one was left, one came
  places = 4;
  all.push(enter("B"));
  await turn();
  expect(queue.active).toBe(4);
  while (queue.active > 0) {
    releases.shift()?.();
    await turn();
  }
  await Promise.all(all);
});
