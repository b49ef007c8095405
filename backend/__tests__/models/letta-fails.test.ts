import { beforeAll, describe, expect, it } from "vitest";
import { adminQuery } from "../harness/database";
import { ofType, turnsEnded } from "../harness/stream";
import { startTcpProxy } from "../harness/tcp-proxy";
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

beforeAll(async () => {
  behind = await behindGateway();
}, START_MS_MAX);

/** Makes Letta's database refuse every step of one agent after its first: Letta fails for real, when it has the answer, and for nobody else. */
async function refuseSteps(agentId: string) {
  const name = `refuse_${agentId.replaceAll("-", "_")}`;
  const { databaseUrl } = behind.stack.letta;
  await adminQuery(
    databaseUrl,
    `create function ${name}() returns trigger language plpgsql as $$ begin
      if exists (select from steps where agent_id = new.agent_id and id <> new.id and status = 'SUCCESS') then
        raise exception 'refused by a test';
      end if;
      return new;
    end $$`,
  );
  await adminQuery(
    databaseUrl,
    `create trigger ${name} before update on steps for each row
      when (new.agent_id = '${agentId}' and new.status = 'SUCCESS') execute function ${name}()`,
  );
  return async () => {
    await adminQuery(databaseUrl, `drop function ${name}() cascade`);
  };
}

/** Makes Letta's database refuse an agent's words: the last of Letta's writes of an answer, after which it reports its end all the same. */
async function refuseWords(agentId: string) {
  const name = `refuse_words_${agentId.replaceAll("-", "_")}`;
  const { databaseUrl } = behind.stack.letta;
  await adminQuery(
    databaseUrl,
    `create function ${name}() returns trigger language plpgsql as $$ begin raise exception 'refused by a test'; end $$`,
  );
  await adminQuery(
    databaseUrl,
    `create trigger ${name} before insert on messages for each row
      when (new.agent_id = '${agentId}' and new.role = 'assistant') execute function ${name}()`,
  );
  return async () => {
    await adminQuery(databaseUrl, `drop function ${name}() cascade`);
  };
}

/** The last thing that the model was told by a person, of the request that holds the word. */
async function toldWith(word: string): Promise<string> {
  const messages = (await behind.asked(word)).at(-1)?.body.messages as { role: string; content: string }[];
  return messages.findLast(({ role }) => role === "user")?.content ?? "";
}

async function lacking(threadId: string): Promise<(number | null)[]> {
  const rows = await adminQuery<{ letta_lacks: number | null }>(
    behind.stack.adminUrl,
    "select letta_lacks from turns where thread_id = $1 order by id",
    [threadId],
  );
  return rows.map((row) => row.letta_lacks);
}

describe("Letta that fails after the answer was shown", () => {
  it("keeps nothing of it; the thread keeps the words, the turn fails, and the next one tells the agent both (LET-7, LET-6)", async () => {
    const { agent_id, letta_id } = await behind.agent("dev");
    const { threadId, ask } = await behind.threadOf([agent_id]);
    await ask("!say hello");
    const heal = await refuseSteps(letta_id);
    const failed = await ask(`lost question ${threadId}\n!say lost answer`);
    await heal();
    expect(ofType(failed, "agent_error")).toHaveLength(1);
    expect([shown(failed), stored(failed)]).toEqual(["lost answer", "lost answer"]);
    expect(await behind.lastInLetta(threadId, "assistant_message")).toBe("hello");
    expect(await lacking(threadId)).toEqual([0, null]);

    const received = await ask(`next question ${threadId}\n!say next answer`);
    expect(stored(received)).toBe("next answer");
    const told = await toldWith(`next question ${threadId}`);
    expect(told).toMatch(/^<message from="Owner" role="person">lost question .*\n!say lost answer<\/message>\n/);
    expect(told).toContain('<message from="Ada" role="you">lost answer</message>\n<message from="Owner"');
    expect(await lacking(threadId)).toEqual([0, "lost answer".length, 0]);

    await ask(`third ${threadId}\n!say third`); // and only once
    expect(await toldWith(`third ${threadId}`)).toBe(`third ${threadId}\n!say third`);
  });

  it.each([["off"], ["on"]])(
    "and reports its end all the same: the next turn finds out and tells the agent both, asking ahead %s (LET-7, LET-6)",
    async (ask_ahead) => {
      const { agent_id, letta_id } = await behind.agent("dev", { ask_ahead });
      const { threadId, ask } = await behind.threadOf([agent_id]);
      await ask("!say hello");
      const heal = await refuseWords(letta_id);
      const received = await ask(`lost question ${threadId}\n!say lost answer`);
      await heal();
      expect(ofType(received, "turn_completed")).toHaveLength(2);
      expect([shown(received), stored(received)]).toEqual(["lost answer", "lost answer"]);
      expect(await behind.lastInLetta(threadId, "assistant_message")).toBe("hello");
      expect(await lacking(threadId)).toEqual([0, 0]); // as Letta says

      await ask(`next question ${threadId}\n!say next answer`);
      expect([shown(received), stored(received)]).toEqual(["next answer", "next answer"]);
      const told = await toldWith(`next question ${threadId}`);
      expect(told).toMatch(/^<message from="Owner" role="person">lost question .*\n!say lost answer<\/message>\n/);
      expect(told).toContain('<message from="Ada" role="you">lost answer</message>\n<message from="Owner"');
      expect(told.split("lost question")).toHaveLength(2);
      expect(await behind.lastInLetta(threadId, "assistant_message")).toBe("next answer");
      expect(await lacking(threadId)).toEqual([0, "lost answer".length, 0]);

      await ask(`third ${threadId}\n!say third`); // and only once
      expect(await toldWith(`third ${threadId}`)).toBe(`third ${threadId}\n!say third`);
    },
  );

  it("in its second step tells the next turn only what it lacks (LET-7, LET-6)", async () => {
    const { agent_id, letta_id } = await behind.agent("dev", { tools: ["memory_insert"] });
    const { threadId, ask } = await behind.threadOf([agent_id]);
    const heal = await refuseSteps(letta_id);
    const failed = await ask(`!tool memory_insert {"label":"human","new_string":"tea ${threadId}"}`);
    await heal();
    expect(ofType(failed, "agent_error")).toHaveLength(1);
    expect(shown(failed)).toBe(stored(failed));
    expect(stored(failed)).toContain("I called memory_insert");
    const types = (await behind.inLetta(threadId)).map((message) => message.message_type);
    expect(types).toContain("tool_return_message");
    expect(types).not.toContain("assistant_message");

    await ask(`and now ${threadId}\n!say yes`);
    const told = await toldWith(`and now ${threadId}`);
    expect(told).not.toContain("!tool");
    expect(told).toContain('role="you">I called memory_insert');
  });

  it("is told nothing twice when only its answer to us was lost (LET-7, LET-6)", async () => {
    const proxy = await startTcpProxy(behind.stack.letta.url);
    const other = await startBeside(behind.stack, { LETTA_API_URL: proxy.url });
    try {
      const { threadId } = await behind.thread("dev-n300-r50");
      const there = await testThread(behind.at(other.url), threadId);
      const { turns } = await there.say(`cut off ${threadId}\n!say all of it\n!slow 1500`);
      await there.stream.until((received) => ofType(received, "turn_started").length > 0);
      await waitForAsk(`cut off ${threadId}`);
      proxy.fault = { kind: "black_hole" }; // what Letta says of its end is lost
      await there.stream.until((received) => ofType(received, "ai_chunk").length > 0);
      await expect.poll(() => behind.lastInLetta(threadId, "assistant_message"), { timeout: 20_000 }).toBe("all of it");
      proxy.dropConnections();
      proxy.fault = { kind: "none" };
      const failed = await there.stream.until(turnsEnded(1), 60_000);
      expect(ofType(failed, "agent_error")).toMatchObject([
        { turn_id: turns[0]?.id, reason: expect.stringMatching(/^(cut|unavailable)$/) }, // whether its first sign had come
      ]);
      expect(stored(failed)).toBe("all of it");
      await there.ask(`after that ${threadId}\n!say fine`);
      await there.stream.close();
      expect(await toldWith(`after that ${threadId}`)).toBe(`after that ${threadId}\n!say fine`);
      expect(await lacking(threadId)).toEqual([0, 0]);
    } finally {
      await other.stop();
      await proxy.close();
    }
  });
});

async function waitForAsk(word: string): Promise<void> {
  await expect.poll(async () => (await behind.asked(word)).length, { timeout: 20_000 }).toBeGreaterThan(0);
}
