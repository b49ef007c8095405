import { describe, expect, it } from "vitest";
import { allows, beyond, parseScope } from "./scopes";

const THREAD = "thread_01h455vb4pex5vsknk084sn02q";
const OTHER = "thread_01h455vb4pex5vsknk084sn02r";
const AGENT = "agent_01h455vb4pex5vsknk084sn02q";

describe("scopes", () => {
  it.each(["*", "threads:read", "threads:*", "*:read", "*:*", `threads:${THREAD}:read`, `messages:${THREAD}:*`])(
    "takes %s (SEC-4)",
    (text) => expect(parseScope(text)).not.toBeNull(),
  );

  it.each([
    "",
    "threads",
    "threads:",
    ":read",
    "threads:fly",
    "dragons:read",
    "constructor:read",
    "*:fly",
    "threads:read:read",
    `threads:${AGENT}:read`,
    `keys:${THREAD}:manage`,
    `*:${THREAD}:read`,
    `threads:${THREAD}`,
    `threads:${THREAD}:read:more`,
    "threads:thread_x:read",
    " threads:read",
  ])("takes no %j (SEC-4)", (text) => expect(parseScope(text)).toBeNull());

  it("one thread's scope allows that thread and neither another nor all (SEC-4)", () => {
    const scopes = [`threads:${THREAD}:read`];
    expect(allows(scopes, "threads:read", THREAD)).toBe(true);
    expect(allows(scopes, "threads:read", OTHER)).toBe(false);
    expect(allows(scopes, "threads:read")).toBe(false);
    expect(allows(scopes, "threads:write", THREAD)).toBe(false);
    expect(allows(scopes, "messages:write", THREAD)).toBe(false);
  });

  it("wildcards allow what they stand for, and no scope allows nothing (SEC-4)", () => {
    expect(allows(["*"], "keys:manage")).toBe(true);
    expect(allows(["*:read"], "audit:read")).toBe(true);
    expect(allows(["*:read"], "threads:write", THREAD)).toBe(false);
    expect(allows(["threads:*"], "threads:write", THREAD)).toBe(true);
    expect(allows(["threads:*"], "messages:write", THREAD)).toBe(false);
    expect(allows([], "threads:read")).toBe(false);
    expect(allows(["nonsense"], "threads:read")).toBe(false);
  });

  it("names what goes beyond the scopes of whoever makes a key (SEC-4)", () => {
    expect(beyond(["*"], ["*", "threads:read", `threads:${THREAD}:*`])).toEqual([]);
    expect(beyond(["threads:*"], ["threads:read", `threads:${THREAD}:write`, "messages:write", "*"])).toEqual([
      "messages:write",
      "*",
    ]);
    expect(beyond([`threads:${THREAD}:read`], [`threads:${THREAD}:read`])).toEqual([]);
    expect(beyond([`threads:${THREAD}:read`], [`threads:${OTHER}:read`, "threads:read"])).toHaveLength(2);
    expect(beyond(["threads:read", "threads:write"], ["threads:*"])).toEqual(["threads:*"]);
  });
});
