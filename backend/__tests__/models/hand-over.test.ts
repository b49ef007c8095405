import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../harness/server";
import { ofType } from "../harness/stream";
import {
  type BehindGateway,
  behindGateway,
  START_MS_MAX,
  shown,
  startBeside,
  stored,
  testThread,
} from "./behind-gateway";

let behind: BehindGateway;
let other: Server;

beforeAll(async () => {
  behind = await behindGateway();
  other = await startBeside(behind.stack);
}, START_MS_MAX);
afterAll(() => other?.stop());

describe("several processes", () => {
  it("hand a request over to the one that runs its turn (SSE-2, LET-7)", async () => {
    const { threadId } = await behind.thread("dev-n20");
    const there = await testThread(behind.at(other.url), threadId);
    const received = await there.ask(`over there ${threadId}`); // Letta asks the first process
    await there.stream.close();
    expect(ofType(received, "turn_completed")).toHaveLength(1);
    expect(shown(received)).toBe(stored(received));
    expect(await behind.lastInLetta(threadId, "assistant_message")).toBe(stored(received));
    expect(await behind.asked(`over there ${threadId}`)).toHaveLength(1);
  });
});
