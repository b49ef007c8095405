/** For tests of the oracle: histories in which one thing is wrong. */
import { expect, it } from "vitest";
import { type Finding, judge } from "../../backend/__tests__/harness/oracle";
import type { History } from "../../backend/__tests__/harness/oracle/history";
import { goodHistory } from "./good-history";

/** What is done to a history in which all is well, and what must be found then: by that invariant, in these words. */
export type Doctored = [Finding["invariant"], string, (history: History) => void, RegExp];

/** What a model says, by which answers are judged. */
export const words = () => "1 2 3";

export function findsEach(doctored: Doctored[]): void {
  it.each(doctored)("finds by %s %s", (invariant, _what, doctor, text) => {
    const history = goodHistory();
    doctor(history);
    const found = judge(history, words).filter((finding) => finding.invariant === invariant);
    expect(found.map((finding) => finding.text).join("\n")).toMatch(text);
  });
}

/** A number that all items of a list must have. */
export function first<T>(items: T[]): T {
  const [item] = items;
  if (item === undefined) throw new Error("nothing to doctor");
  return item;
}
