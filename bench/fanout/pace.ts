import { setTimeout as sleep } from "node:timers/promises";
import type { Speak } from "./messages";

/** Writes to groups at the pace of answers: some groups at a time, the next one when one has had all its events. */
export async function speak(
  { groups, atOnce, events, perSecond }: Speak,
  write: (group: number) => unknown,
): Promise<void> {
  let next = 0;
  const speaker = async () => {
    for (let group = next++; group < groups; group = next++) {
      const begun = performance.now();
      for (let said = 0; said < events; ) {
        await sleep(begun + ((said + 1) * 1000) / perSecond - performance.now());
        for (; said < events && begun + ((said + 1) * 1000) / perSecond <= performance.now(); said++)
          await write(group);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, groups) }, speaker));
}
