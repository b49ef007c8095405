import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { otidOf } from "../../threads/turns/otid";
import type { Context } from "../harness/organization";
import type { Server } from "../harness/server";
import { ofType, type Received } from "../harness/stream";
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

  it("give a request that came late to no later turn of its conversation, whose words it would be mixed into (SSE-2, THR-3)", async () => {
    const { threadId, ask } = await behind.thread("dev-n20-r20");
    await ask(`first ${threadId}`);
    const [late] = await behind.asked(`first ${threadId}`);
    const second = ask(`second ${threadId}`);
    await expect.poll(() => behind.asked(`second ${threadId}`), { timeout: 20_000 }).toHaveLength(1);
    const key = behind.stack.config.env?.ModelGatewayKey ?? "";
    for (const url of [behind.stack.url, other.url]) {
      const answer = await fetch(`${url}/internal/models/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ ...late?.body, user: behind.user }),
      });
      expect(answer.status).toBe(403);
      expect(await answer.text()).toContain("belongs to no running turn");
    }
    const received = await second;
    expect(shown(received)).toBe(stored(received));
    expect(stored(received)).toBe(Array.from({ length: 20 }, (_, at) => at + 1).join(" "));
  });

  it("nor where the later turn was told the very same words: Letta says which message it asks for (SSE-2, THR-3)", async () => {
    const { threadId, ask } = await behind.thread("dev-n40-r20");
    const words = `the same ${threadId}`;
    const turnOf = (all: Received[]) => ofType(all, "turn_completed").at(-1)?.turn_id ?? "";
    const first = turnOf(await ask(words));
    const again = ask(words);
    await expect.poll(() => behind.asked(words), { timeout: 20_000 }).toHaveLength(2);
    const [late, now] = await behind.asked(words);
    const running = (await behind.org.call<{ context: Context }>("GET", `/threads/${threadId}`)).body.context;
    const turnId = running.running_turns[0]?.id ?? "";
    const key = behind.stack.config.env?.ModelGatewayKey ?? "";
    const send = (url: string, body: { messages: unknown[] } | undefined, turn: string) => {
      const all = body?.messages as { role: string }[];
      const at = all.findLastIndex(({ role }) => role === "user");
      const messages = all.map((m, place) => (place === at ? { ...m, name: otidOf(turn, 1) } : m));
      return fetch(`${url}/internal/models/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ ...body, messages, user: behind.user }),
      });
    };
    const everywhere = (body: { messages: unknown[] } | undefined, turn: string) =>
      Promise.all([behind.stack.url, other.url].map(async (url) => (await send(url, body, turn)).status));
    expect(await everywhere(late?.body, first)).toEqual([403, 403]);
    expect(await everywhere(now?.body, turnId)).toEqual([200, 200]); // answered again, as a request that Letta repeats
    const received = await again;
    expect(turnOf(received)).toBe(turnId);
    expect(shown(received)).toBe(stored(received));
    expect(stored(received)).toBe(Array.from({ length: 40 }, (_, at) => at + 1).join(" "));
    // The model is told nothing of it.
    for (const { body } of await behind.asked(words)) expect(JSON.stringify(body.messages)).not.toContain('"name"');
  });
});
