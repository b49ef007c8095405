import { describe, expect, it } from "vitest";
import { createLooks } from "./looks";

/** Looks that end when they are told to. */
function looksToEnd(atOnce: number) {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const looks = createLooks({
    atOnce,
    look: (orgId, threadIds) => {
      begun.push(`${orgId}:${threadIds}`);
      return new Promise((resolve) => void ends.push(resolve));
    },
  });
  const endOne = async () => {
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { ...looks, begun, endOne };
}

describe("looking at threads that changed", () => {
  it("takes an organization's threads together, and each that is named meanwhile once more (SSE-3)", async () => {
    const { want, begun, endOne, idle } = looksToEnd(2);
    want("org_1", "a");
    for (const threadId of ["b", "a", "b", "c"]) want("org_1", threadId);
    expect(begun).toEqual(["org_1:a"]);
    await endOne();
    expect(begun).toEqual(["org_1:a", "org_1:b,a,c"]);
    await endOne();
    await idle();
    expect(begun).toHaveLength(2);
  });

  it("looks at so many organizations at once and no more, each in its turn (SSE-3)", async () => {
    const { want, begun, endOne } = looksToEnd(2);
    for (const orgId of ["1", "2", "3", "1", "4"]) want(orgId, "a");
    expect(begun).toEqual(["1:a", "2:a"]);
    await endOne(); // of 1: it was named again after 3
    expect(begun.slice(2)).toEqual(["3:a"]);
    await endOne();
    await endOne();
    expect(begun.slice(3)).toEqual(["1:a", "4:a"]);
  });
});
