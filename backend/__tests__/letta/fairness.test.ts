import { afterAll, describe, expect, it } from "vitest";
import { type Letta, LettaError } from "../../lib/letta-client";
import { listen, newConversation, newLetta, newTenant } from "./stack";

const direct = newLetta();
afterAll(() => direct.close());

async function withLetta<T>(limits: Parameters<typeof newLetta>[0], work: (letta: Letta) => Promise<T>): Promise<T> {
  const letta = newLetta(limits);
  try {
    return await work(letta);
  } finally {
    await letta.close();
  }
}

describe("admission to Letta", () => {
  it("lets a quiet organization pass a busy one's queue (LET-2, LET-8)", async () => {
    const [busy, quiet] = await Promise.all([newTenant(direct), newTenant(direct)]);
    const busyTalks = await Promise.all(Array.from({ length: 6 }, () => newConversation(direct.as(busy))));
    const quietTalk = await newConversation(direct.as(quiet));
    await withLetta({ streamsMax: 1 }, async (letta) => {
      const order: string[] = [];
      const say = async (who: string, org: ReturnType<Letta["as"]>, conversationId: string) => {
        expect((await listen(org, { conversationId, content: "!tokens 2" })).error).toBeNull();
        order.push(who);
      };
      const all = busyTalks.map(({ conversationId }) => say("busy", letta.as(busy), conversationId));
      all.push(say("quiet", letta.as(quiet), quietTalk.conversationId));
      await Promise.all(all);
      expect(order.indexOf("quiet")).toBeLessThanOrEqual(1); // after the one that was under way when it came
    });
  });

  it("makes conversations a few at a time, and another's before the rest of a flood (LET-2, LET-8)", async () => {
    const [busy, quiet] = await Promise.all([newTenant(direct), newTenant(direct)]);
    const talks = await Promise.all([busy, quiet].map((tenant) => newConversation(direct.as(tenant))));
    const [its = "", other = ""] = talks.map(({ agent }) => agent.id);
    await withLetta({ createsMax: 1 }, async (letta) => {
      const order: string[] = [];
      const make = async (who: string, org: ReturnType<Letta["as"]>, agentId: string) => {
        expect(await org.conversations.create(agentId)).toMatch(/^conv-/);
        order.push(who);
      };
      const all = Array.from({ length: 6 }, () => make("busy", letta.as(busy), its));
      all.push(make("quiet", letta.as(quiet), other));
      expect(letta.figures().queues.conversation).toMatchObject({ active: 1, places: 1, waiting: 6 });
      await Promise.all(all);
      expect(order.indexOf("quiet")).toBeLessThanOrEqual(1);
      expect(letta.figures().queues.conversation).toMatchObject({ active: 0, waiting: 0 });
    });
  });

  it("refuses what its queue cannot hold, says so, and keeps what it holds (LET-2)", async () => {
    const tenant = await newTenant(direct);
    const talks = await Promise.all(Array.from({ length: 4 }, () => newConversation(direct.as(tenant))));
    await withLetta({ streamsMax: 1, waitingOfOneMax: 2 }, async (letta) => {
      const answers = await Promise.all(
        talks.map(({ conversationId }) => listen(letta.as(tenant), { conversationId, content: "!tokens 2" })),
      );
      const errors = answers.map((answer) => answer.error);
      expect(errors.filter((error) => error === null)).toHaveLength(3);
      expect(errors.filter((error) => error instanceof LettaError)).toEqual([
        expect.objectContaining({ kind: "overloaded", retryable: true, code: "queue_full" }),
      ]);
      expect((await letta.health()).pool).toMatchObject({ streams: 0, waiting: 0 });
    });
  });

  it("stops a run although every place is taken (LET-2, SSE-6)", async () => {
    const tenant = await newTenant(direct);
    const { conversationId } = await newConversation(direct.as(tenant), "dev-n600-r20");
    await withLetta({ streamsMax: 1 }, async (letta) => {
      const org = letta.as(tenant);
      const talking = listen(org, { conversationId, content: "count" });
      await new Promise((resolve) => setTimeout(resolve, 100)); // sent, and its run not known yet
      expect((await letta.health()).pool.streams).toBe(1);
      expect(await org.cancel(conversationId)).toBe(true);
      const { events, error } = await talking;
      expect(error ?? events.at(-1)).toMatchObject(
        error ? { kind: "cancelled" } : { type: "stop", reason: "cancelled" },
      );
    });
  });
});
