/** A run told as it goes: each phase says when it begins and how long it took, and one that takes longer than it may ends the run. */
import { setTimeout as sleep } from "node:timers/promises";

export interface Phases {
  say(text: string): void;
  /** Runs `work`, `msMax` at most. What it was doing is not stopped, but with the servers that it asks. */
  phase<T>(name: string, msMax: number, work: () => Promise<T>): Promise<T>;
  /** Since the run began. */
  seconds(): number;
}

export function makePhases(print: (text: string) => void = console.log): Phases {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const say = (text: string) => print(`${seconds().toFixed(0).padStart(4)} s  ${text}`);
  return {
    say,
    seconds: () => Math.round(seconds()),
    async phase(name, msMax, work) {
      say(`${name} …`);
      const from = seconds();
      const over = new AbortController();
      const late = sleep(msMax, undefined, { signal: over.signal }).then(() => {
        throw new Error(`${name}: not done after ${msMax / 1000} s`);
      });
      try {
        const result = await Promise.race([work(), late]);
        say(`${name}: ${(seconds() - from).toFixed(1)} s`);
        return result;
      } finally {
        over.abort();
        late.catch(() => undefined);
      }
    },
  };
}
