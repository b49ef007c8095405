import fc from "fast-check";
import { describe, expect, inject, it } from "vitest";
import type { Message } from "../../lib/events";
import { adminQuery } from "../harness/database";
import { newAgent, newOrganization, newThread, type TestOrganization } from "../harness/organization";
import { ofType, openStream } from "../harness/stream";
import { branchesOf, conversationOf, lastRequest } from "./branches";
import * as model from "./model";

/** Runs, and what each does: about 30 s with a real Letta on two cores. PROPERTY_SEED and PROPERTY_RUNS take a run up again, or make more. */
const RUNS = Number(process.env.PROPERTY_RUNS ?? 6);
/** On a busy machine it is not made longer but shorter. */
const RUNS_MS_MAX = 90_000 * Math.ceil(RUNS / 6);
const STEPS_MAX = 14;
const THREADS_MAX = 5;
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);

type Step =
  | { do: "say"; asks: boolean }
  | { do: "edit" | "regenerate" | "rewind" | "fork" | "split" | "merge" | "restore" };

/** `thread` and `at` choose among what is there then. */
const step = fc.record({
  thread: fc.nat(),
  at: fc.nat(),
  step: fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("say" as const), asks: fc.boolean() }) },
    ...(["edit", "regenerate", "rewind", "fork", "split", "merge", "restore"] as const).map((name) => ({
      weight: 2,
      arbitrary: fc.constant({ do: name }),
    })),
  ) as fc.Arbitrary<Step>,
});

interface Pair {
  id: string;
  model: model.ThreadModel;
}

describe("branches against a model", () => {
  it(`whatever is done, conversation, branches, log and memory are what a list says (THR-7, seed ${SEED})`, async () => {
    const org = await newOrganization();
    const agent = await newAgent(org, "Echo", "openai-proxy/dev-echo");
    let run = 0;
    let checked = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: STEPS_MAX }), async (steps) => {
        const world = new World(org, agent, `r${SEED.toString(36)}x${run++}`);
        await world.begin();
        for (const one of steps) await world.take(one);
        await world.check();
        checked++;
      }),
      {
        seed: SEED,
        numRuns: RUNS,
        endOnFailure: true,
        interruptAfterTimeLimit: RUNS_MS_MAX,
        markInterruptAsFailure: false,
      },
    );
    expect(checked).toBeGreaterThan(0);
  }, 240_000);
});

class World {
  readonly threads: Pair[] = [];
  readonly on: ReturnType<typeof branchesOf>;
  private words = 0;

  constructor(
    readonly org: TestOrganization,
    readonly agent: string,
    readonly name: string,
  ) {
    this.on = branchesOf(org);
  }

  async begin(): Promise<void> {
    this.threads.push({ id: await newThread(this.org, [this.agent]), model: model.newThreadModel() });
  }

  async take({ thread, at, step }: { thread: number; at: number; step: Step }): Promise<void> {
    const open = this.threads.filter((pair) => !pair.model.isArchived);
    const pair = open[thread % open.length];
    if (!pair) return;
    const { id } = pair;
    const said = model.visible(pair.model);
    const index = said.length === 0 ? -1 : at % said.length;
    const chosen = said[index];
    switch (step.do) {
      case "say": {
        const text = this.word();
        await this.on.say(id, asking(text), step.asks ? {} : { mentions: [] });
        model.say(pair.model, person(text), ...(step.asks ? [agent(text)] : []));
        break;
      }
      case "edit": {
        if (chosen?.by !== "person") return;
        const text = this.word();
        await this.on.edit(id, (await this.storedAt(pair, index)).id, asking(text));
        model.branchOff(pair.model, [...said.slice(0, index), person(text), agent(text)]);
        break;
      }
      case "regenerate": {
        if (chosen?.by !== "agent") return;
        const question = said.slice(0, index).findLast((one) => one.by === "person");
        if (!question) return; // the tail of a split may begin with an answer
        await this.on.regenerate(id, (await this.storedAt(pair, index)).id);
        model.branchOff(pair.model, [...said.slice(0, index), agent(question.text)]);
        break;
      }
      case "rewind":
        if (chosen === undefined) return;
        await this.on.rewind(id, (await this.storedAt(pair, index)).seq - 1);
        model.branchOff(pair.model, said.slice(0, index));
        break;
      case "restore": {
        const branch = (at % pair.model.branches.length) + 1;
        if (branch === pair.model.current) return;
        await this.on.restore(id, branch);
        model.restore(pair.model, branch);
        break;
      }
      case "fork": {
        if (this.threads.length >= THREADS_MAX) return;
        const isWhole = at % 2 === 0;
        const at_seq = isWhole || chosen === undefined ? undefined : (await this.storedAt(pair, index)).seq;
        const { thread } = await this.on.fork(id, { at_seq });
        this.threads.push({
          id: thread.id,
          model: model.fork(pair.model, at_seq === undefined ? said.length : index + 1),
        });
        break;
      }
      case "split": {
        if (this.threads.length >= THREADS_MAX || chosen === undefined) return;
        const { thread } = await this.on.split(id, (await this.storedAt(pair, index)).seq - 1);
        this.threads.push({ id: thread.id, model: model.split(pair.model, index) });
        break;
      }
      case "merge": {
        const from = open.find((other) => other !== pair);
        if (!from) return;
        const { merged_messages } = await this.on.merge(id, from.id);
        expect(merged_messages).toBeGreaterThanOrEqual(model.visible(from.model).length);
        model.merge(pair.model, from.model);
        break;
      }
      default:
        step satisfies never;
    }
    await this.on.quiet(id);
  }

  async check(): Promise<void> {
    for (const pair of this.threads) {
      await this.checkBranches(pair);
      await this.checkLog(pair);
      if (!pair.model.isArchived) await this.checkMemory(pair);
    }
  }

  /** Every branch reads as the model says, and the list of branches is the model's. */
  private async checkBranches({ id, model: { branches, current } }: Pair): Promise<void> {
    const listed = await this.on.branches(id);
    expect(listed.map((branch) => branch.branch)).toEqual(branches.map((_, index) => index + 1));
    expect(listed.filter((branch) => branch.is_current).map((branch) => branch.branch)).toEqual([current]);
    for (const [index, said] of branches.entries())
      expect((await this.spoken(id, `&branch=${index + 1}`)).map(toSaid)).toEqual(said);
    expect((await this.spoken(id)).map(toSaid)).toEqual(branches[current - 1]);
  }

  /** The log has no gap, and a stream that is cut and resumed gives each entry once and in order. */
  private async checkLog({ id }: Pair): Promise<void> {
    const stored = await adminQuery<{ seq: number; kind: string }>(
      inject("graphyn").adminUrl,
      "select seq::int, kind from thread_log where thread_id = $1 order by seq",
      [id],
    );
    expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, index) => index + 1));
    // Everything after the first message, in two pieces.
    const first = (await this.on.messages(id, "&include=rewound"))[0];
    const cursor = (await openAndRead(this.org, id)).find(
      ({ event }) => event.type === "message" && event.message.seq === first?.seq,
    )?.id;
    if (cursor === undefined || !first) return; // it is no part of the conversation any more
    const whole = await openAndRead(this.org, id, cursor);
    const middle = whole[Math.floor(whole.length / 2)]?.id;
    const rest = middle === undefined ? [] : await openAndRead(this.org, id, middle);
    const joined = middle === undefined ? whole : [...whole.slice(0, Math.floor(whole.length / 2) + 1), ...rest];
    const durable = (events: typeof whole) =>
      events.flatMap(({ event }) => (["caught_up", "ai_chunk"].includes(event.type) ? [] : [event.type]));
    const expected = stored.slice(first.seq).map(({ kind }) => kind);
    expect(durable(whole)).toEqual(expected);
    expect(durable(joined)).toEqual(expected);
  }

  /** Asked once more, the agent knows what is in the conversation, and nothing that has left it. */
  private async checkMemory({ id, model: thread }: Pair): Promise<void> {
    const text = this.word();
    await this.on.say(id, asking(text));
    await this.on.quiet(id);
    const known = conversationOf(await lastRequest(text));
    const expected = [...new Set(model.visible(thread).map((one) => one.text))];
    const everything = this.threads.flatMap((pair) => pair.model.branches.flat().map((one) => one.text));
    expect(expected.filter((one) => !known.includes(one))).toEqual([]);
    expect([...new Set(everything)].filter((one) => !expected.includes(one) && known.includes(one))).toEqual([]);
    model.say(thread, person(text), agent(text));
  }

  private async spoken(id: string, query = ""): Promise<Message[]> {
    return (await this.on.messages(id, query)).filter((message) => message.sender_type !== "system");
  }

  private async storedAt({ id }: Pair, index: number): Promise<Message> {
    const message = (await this.spoken(id))[index];
    if (!message) throw new Error("the thread has fewer messages than the model");
    return message;
  }

  private word(): string {
    return `${this.name}w${this.words++}e`;
  }
}

async function openAndRead(org: TestOrganization, id: string, cursor?: string) {
  const stream = await openStream(org, id, cursor);
  const received = await stream.until((all) => ofType(all, "caught_up").length > 0);
  await stream.close();
  return received;
}

function person(text: string): model.Said {
  return { text, by: "person" };
}

function agent(text: string): model.Said {
  return { text, by: "agent" };
}

/** The dev model answers exactly the word, so that an answer holds nothing of what its agent was told besides. */
function asking(word: string): string {
  return `!say ${word}`;
}

function toSaid({ sender_type, content }: Message): model.Said {
  return sender_type === "agent" ? agent(content) : person(content.replace(/^!say /, ""));
}
