import type { Stamp } from "./result";

/** For tests of reports: the stamp of a result that nobody measured. */
export function testStamp(bench: string): Stamp {
  return {
    bench,
    date: "2026-11-30T12:00:00Z",
    commit: "abc",
    machine: { cpu: "test", cores: 2, memory_gib: 24, kernel: "k", node: "v20" },
    seed: 1,
    load_before: { busy: 0, steal: 0, busiest: [], override: false },
  };
}
