import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GuessFigures } from "../../models/ask-ahead/guess-figures";
import { newPerson, newThread, ok } from "../harness/organization";
import type { Server } from "../harness/server";
import { openStream, turnsEnded } from "../harness/stream";
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

/** What became of each guess in a thread, oldest first; null for a call that was not guessed. */
async function guesses(threadId: string): Promise<(string | null)[]> {
  return (await behind.calls(threadId)).map(({ guess }) => guess);
}

/** An agent that has answered before, so that the requests of its conversations are known. */
async function known(model = "dev", more: object = {}): Promise<string> {
  const { agent_id } = await behind.agent(model, more);
  const { ask, stream } = await behind.threadOf([agent_id]);
  await ask("!say before");
  await stream.close();
  return agent_id;
}

/** A thread whose conversation in Letta is made and known: that happens beside the request that makes the thread. */
async function readyThread(agents: string[], people: string[] = []): Promise<string> {
  const threadId = await newThread(behind.org, agents, people);
  await expect.poll(() => behind.conversationOf(threadId)).not.toBe("");
  await expect.poll(async () => (await behind.inLetta(threadId)).length).toBe(1);
  return threadId;
}

const figures = async (agentId: string) =>
  (await ok(behind.org.call<{ guesses: GuessFigures }>("GET", `/agents/${agentId}`))).guesses;

/** Gives an agent a tool in Letta behind our back, or takes it: its next request will not be like its last. */
async function change(lettaId: string, how: "attach" | "detach"): Promise<void> {
  const [tool] = await behind.letta.call<{ id: string }[]>("GET", "/v1/tools/?name=memory_rethink");
  await behind.letta.call("PATCH", `/v1/agents/${lettaId}/tools/${how}/${tool?.id}`);
}

const set = (agentId: string, ask_ahead: string) => ok(behind.org.call("PATCH", `/agents/${agentId}`, { ask_ahead }));

describe("asking ahead", () => {
  it("asks the upstream once a turn, with exactly what Letta asks later, and nothing is said twice (SSE-2)", async () => {
    const { threadId, ask } = await behind.thread("dev-n20");
    for (const content of ["one", "two", "three", "four"]) await ask(`${content} ${threadId}`);
    const asked = await behind.asked(threadId);
    expect(asked).toHaveLength(4);
    expect(asked.filter(({ client_gone }) => client_gone)).toEqual([]);
    expect((await behind.inLetta(threadId)).filter((m) => m.message_type === "assistant_message")).toHaveLength(4);
    const calls = await behind.calls(threadId);
    expect(calls.map(({ purpose, upstream }) => `${purpose} ${upstream}`)).toEqual(Array(4).fill("turn dev"));
    expect(calls.map(({ guess }) => guess)).toEqual([null, "hit", "hit", "hit"]); // of the first nothing was known
  });

  it("knows the first turn of a conversation, when the agent has answered in another (SSE-2)", async () => {
    const { ask, threadId } = await testThread(behind.org, await readyThread([await known("dev-n20")]));
    const received = await ask("hello");
    expect(shown(received)).toBe(stored(received));
    expect(await guesses(threadId)).toEqual(["hit"]);
  });

  it("knows what agents are told among several people and each other (SSE-2, THR-3)", async () => {
    const { org } = behind;
    const agents = [await known(), await known()];
    const people = await Promise.all(["Mira", 'Tom "T" <x>', "Zoë"].map((name) => newPerson(org, name)));
    const threadId = await readyThread(agents, people);
    const stream = await openStream(org, threadId);
    const said = 8;
    for (let n = 0; n < said; n++) {
      await ok(
        org.call("POST", `/threads/${threadId}/messages`, {
          content: `${n} <b> & "q"\n`,
          sender_id: people[n % people.length],
          // Every other message is for one of them: the other hears of it with its next.
          mentions: n % 2 === 0 ? agents : [agents[(n >> 1) % 2]],
        }),
      );
      const before = Math.ceil((n + 1) / 2) * 2 + Math.floor((n + 1) / 2);
      await stream.until(turnsEnded(before), START_MS_MAX);
    }
    await stream.close();
    const made = await guesses(threadId);
    expect(made).toHaveLength(12);
    expect(made.slice(2)).toEqual(Array(10).fill("hit")); // the second agent's conversation may not be known at its first turn
  });

  it("goes on after tool calls and memory edits, an empty answer and an error (SSE-2)", async () => {
    const agent = await known("dev", { tools: ["memory_insert"] });
    const { threadId, ask } = await testThread(behind.org, await readyThread([agent]));
    await ask('!tool memory_insert {"label":"human","new_string":"likes tea"}');
    await ask("!say after the edit");
    await ask("!empty");
    await ask("!say after nothing");
    await ask("!error 400");
    await ask("!say after an error");
    await ask("!cut 3");
    await ask("!say after a broken one");
    const made = await guesses(threadId);
    // The second step of the first turn comes after the tool: that is not guessed.
    expect(made).toEqual(["hit", null, ...Array(7).fill("hit")]);
  });

  it("drops a guess that Letta does not make, shows nothing of it, and writes down what it cost (SSE-2, OBS-1)", async () => {
    const { agent_id, letta_id } = await behind.agent("dev");
    const { threadId, ask } = await behind.threadOf([agent_id]);
    await ask(`!say first ${threadId}`);
    await change(letta_id, "attach");
    const received = await ask(`!say last ${threadId}`);
    expect(shown(received)).toBe(`last ${threadId}`);
    expect(await behind.lastInLetta(threadId, "assistant_message")).toBe(`last ${threadId}`);
    const calls = await behind.calls(threadId);
    const missed = calls.find(({ guess }) => guess === "miss");
    expect(missed).toMatchObject({ purpose: "guess", agent_id });
    expect(missed?.prompt_tokens).toBeGreaterThan(100);
    const counted = calls.find(({ purpose, estimated }) => purpose === "turn" && !estimated);
    expect(counted?.prompt_tokens).toBeGreaterThan(0);
    expect(await figures(agent_id)).toMatchObject({
      hits: 0,
      misses: 1,
      unused: 0,
      missed_prompt_tokens: missed?.prompt_tokens,
      missed_completion_tokens: missed?.completion_tokens,
      missed_tokens_estimated: missed?.estimated,
    });
  });

  it("is off, on and automatic as the agent says, from its next turn on (SSE-2)", async () => {
    const { agent_id } = await behind.agent("dev", { ask_ahead: "off" });
    const { threadId, ask } = await behind.threadOf([agent_id]);
    await ask("!say one");
    await ask("!say two");
    await set(agent_id, "on");
    await ask("!say three");
    await set(agent_id, "off");
    await ask("!say four");
    await set(agent_id, "auto");
    await ask("!say five");
    expect(await guesses(threadId)).toEqual([null, null, "hit", null, "hit"]);
    expect(await figures(agent_id)).toMatchObject({ hits: 2, misses: 0 });
  });

  it("stops by itself where it misses more often than it hits, and takes that from the database (SSE-2)", async () => {
    const { agent_id, letta_id } = await behind.agent("dev");
    const { threadId, ask } = await behind.threadOf([agent_id]);
    await ask("!say one");
    for (const how of ["attach", "detach", "attach", "detach"] as const) {
      await change(letta_id, how);
      await ask(`!say after ${how}`);
    }
    await ask("!say not guessed");
    expect(await figures(agent_id)).toMatchObject({ hits: 0, misses: 4 });
    const beside = await startBeside(behind.stack);
    try {
      const there = await testThread(behind.at(beside.url), threadId);
      await there.ask("!say the other process remembers this conversation");
      await there.ask("!say and does not guess");
      await there.stream.close();
    } finally {
      await beside.stop();
    }
    expect(await figures(agent_id)).toMatchObject({ hits: 0, misses: 4 });
  });
});

describe("asking ahead where it costs too much (SSE-2)", () => {
  const running: Server[] = [];
  afterAll(async () => {
    for (const server of running) await server.stop();
  });

  it.each([
    ["nothing is said of it", {}, ["hit", "hit"]],
    [
      "the price of a prompt is beyond what a turn may lose",
      { price: { prompt: 5_000, completion: 1 } },
      [null, "hit"],
    ],
    [
      "what a turn may lose covers its price",
      { price: { prompt: 5_000, completion: 1 }, ask_ahead: { usd_max: 100 } },
      ["hit", "hit"],
    ],
    ["the operator wants none", { ask_ahead: false }, [null, null]],
  ])("%s: automatic, then on", async (_, more, expected) => {
    const upstream = { name: "dev", base_url: `${behind.stack.modelUrl}/v1`, key_secret: "dev", ...more };
    const server = await startBeside(behind.stack, { MODEL_UPSTREAMS: JSON.stringify([upstream]) });
    running.push(server);
    const { agent_id } = await behind.agent("dev");
    const threadId = await newThread(behind.org, [agent_id]);
    const { ask } = await testThread(behind.at(server.url), threadId);
    await ask("!say first");
    await ask("!say automatic");
    await set(agent_id, "on");
    await ask("!say on");
    expect((await guesses(threadId)).slice(1)).toEqual(expected);
  });
});
