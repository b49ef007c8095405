import { beforeAll, describe, expect, it } from "vitest";
import { request } from "../harness/organization";
import { type BehindGateway, behindGateway, START_MS_MAX, shown } from "./behind-gateway";

let behind: BehindGateway;

beforeAll(async () => {
  behind = await behindGateway();
}, START_MS_MAX);

describe("asking ahead", () => {
  it("asks the upstream once a turn, with exactly what Letta asks later, and nothing is said twice (SSE-2)", async () => {
    const { threadId, ask } = await behind.thread("dev-n20");
    const hits = async () => (await request<{ hits: number }>(behind.stack.url, "GET", "/models/guesses")).body.hits;
    const before = await hits();
    for (const content of ["one", "two", "three", "four"]) await ask(`${content} ${threadId}`);
    const asked = await behind.asked(threadId);
    expect(asked).toHaveLength(4);
    expect(asked.filter(({ client_gone }) => client_gone)).toEqual([]);
    expect((await behind.inLetta(threadId)).filter((m) => m.message_type === "assistant_message")).toHaveLength(4);
    expect((await behind.calls(threadId)).map(({ purpose }) => purpose)).toEqual(["turn", "turn", "turn", "turn"]);
    expect((await hits()) - before).toBeGreaterThanOrEqual(3); // all but the first, of which nothing was known
  });

  it("drops a guess that Letta does not make, and shows nothing of it (SSE-2)", async () => {
    const { threadId, ask } = await behind.thread("dev", { tools: ["memory_insert"] });
    await ask(`!say first ${threadId}`);
    await ask(`!tool memory_insert {"label":"human","new_string":"changes the prompt ${threadId}"}`);
    const received = await ask(`!say last ${threadId}`);
    expect(shown(received)).toBe(`last ${threadId}`);
    expect(await behind.lastInLetta(threadId, "assistant_message")).toBe(`last ${threadId}`);
  });
});
