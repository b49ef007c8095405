import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compared, disconnected, type Journal, newJournal, write } from "../../__tests__/harness/journal";
import { entryCursor, parseCursor } from "../../lib/cursor";
import type { LogEntry, LogEvent, Message } from "../../lib/events";
import { type Channel, createChannel } from "./channel";
import type { Delivery, Words } from "./place";
import { type Page, runReader } from "./reader";

/**
 * A thread, two processes and some clients in miniature: the log and the stored words stand for the database, and everything that happens
 * between them (what is published when, what a page of the log shows, when a connection is cut, when a process dies) is chosen by fast-check.
 * The readers and channels are the real ones. Each client keeps what it is given as docs/api.md tells clients to; the oracle compares it
 * with the log.
 */
const THREAD = "thread_01h455vb4pex5vsknk084sn02q";
const PAGE = 3;
const PROCESSES = 2;
const RUNS = 1_000;

interface Turn {
  id: string;
  agent: string;
  process: number;
  startSeq: number;
  text: string;
  stored: string;
}

interface Process {
  channel: Channel | null;
  holds: number;
  /** Committed entries that this process has not been told yet. */
  unpublished: LogEntry[];
  clients: Set<Client>;
}

interface Client {
  connection: AbortController | null;
  /** What the server has written and the network not delivered: a cut loses it. */
  wire: Delivery[];
  journal: Journal;
}

class World {
  log: LogEntry[] = [];
  turns = new Map<string, Turn>();
  /** Turns as a process still says them that has lost them to another and does not know it yet. */
  zombies: Turn[] = [];
  crashed = new Set<string>();
  processes: Process[] = Array.from({ length: PROCESSES }, () => ({
    channel: null,
    holds: 0,
    unpublished: [],
    clients: new Set<Client>(),
  }));
  clients: Client[] = [];
  io: (() => void)[] = [];
  made = 0;

  append(...events: LogEvent[]): LogEntry[] {
    const entries = events.map((event, index) => ({ seq: this.log.length + 1 + index, event }));
    this.log.push(...entries);
    for (const process of this.processes) process.unpublished.push(...entries);
    return entries;
  }

  message(content: string, turn: Turn | null, status: Message["status"] = "complete"): LogEvent {
    const sender_id = turn?.agent ?? "user_1";
    return {
      type: "message",
      thread_id: THREAD,
      message: {
        id: `msg_${++this.made}`,
        thread_id: THREAD,
        seq: this.log.length + 1,
        sender_type: turn ? "agent" : "user",
        sender_id,
        sender_name: sender_id,
        content,
        status,
        turn_id: turn?.id ?? null,
        mentions: [],
        reason: null,
        branch: 1,
        origin: null,
        created_at: "2026-01-01T00:00:00.000Z",
      },
    };
  }

  start(process: number, again?: Turn): void {
    const id = again?.id ?? `turn_${String(++this.made).padStart(26, "0")}`;
    const agent = again?.agent ?? `agent_${this.turns.size % 3}`;
    if (!again && [...this.turns.values()].some((turn) => turn.agent === agent)) return; // it is still answering
    const [entry] = this.append({
      type: "turn_started",
      thread_id: THREAD,
      turn_id: id,
      agent_id: agent,
      agent_name: agent,
      message_id: "msg_0",
    });
    this.turns.set(id, { id, agent, process, startSeq: entry?.seq ?? 0, text: "", stored: "" });
    this.hold(process, entry?.seq ?? 0); // as startSpeaking: kept for the turn's time
  }

  say(turn: Turn, text: string): void {
    turn.text += text;
    this.processes[turn.process]?.channel?.speak(
      { turnId: turn.id, agentId: turn.agent, startSeq: turn.startSeq },
      text,
    );
  }

  end(turn: Turn, how: "completed" | "failed", text = turn.text): void {
    this.turns.delete(turn.id);
    const { id: turn_id, agent: agent_id } = turn;
    const status = how === "completed" ? "complete" : "failed";
    const figures = { first_token_ms: null, duration_ms: 1, usage: null };
    this.append(
      ...(text === "" ? [] : [this.message(text, turn, status)]),
      how === "completed"
        ? { type: "turn_completed", thread_id: THREAD, turn_id, agent_id, message_id: null, ...figures }
        : {
            type: "agent_error",
            thread_id: THREAD,
            turn_id,
            agent_id,
            error: "",
            reason: "interrupted",
            retryable: true,
          },
    );
    this.release(turn.process);
  }

  /** kill -9: what it had not stored of its turns' words is lost; the other process takes the turns over. */
  crash(index: number): void {
    const process = this.processes[index] as Process;
    for (const client of [...process.clients]) this.cut(client);
    Object.assign(process, { channel: null, holds: 0, unpublished: [], clients: new Set() });
    this.zombies = this.zombies.filter((turn) => turn.process !== index);
    this.takeOver(index);
  }

  /** It lives, but was not heard for so long that its turns were taken; it goes on saying their words. */
  stall(index: number): void {
    this.zombies.push(
      ...[...this.turns.values()].filter((turn) => turn.process === index).map((turn) => ({ ...turn })),
    );
    this.takeOver(index);
  }

  takeOver(index: number): void {
    for (const turn of [...this.turns.values()].filter((each) => each.process === index)) {
      this.crashed.add(turn.id);
      turn.process = 1 - index;
      this.hold(turn.process, this.log.length); // let go by end(), as its own would be
      if (turn.stored !== "") this.end(turn, "failed", turn.stored);
      else {
        this.release(turn.process);
        this.start(turn.process, turn);
      }
    }
  }

  said(known: Record<string, number>): Words[] {
    return [...this.turns.values()]
      .filter((turn) => turn.stored.length > (known[turn.id] ?? 0))
      .map((turn) => ({ turnId: turn.id, agentId: turn.agent, offset: 0, content: turn.stored }));
  }

  /** As channels.ts reads it: the words, then the log; and what both are for is done later. */
  async refresh(index: number): Promise<void> {
    const channel = this.processes[index]?.channel;
    if (!channel) return;
    const words = this.said(channel.known());
    await this.answered();
    channel.append(this.log.slice(0));
    await this.answered();
    for (const piece of words) channel.catchUp(piece);
  }

  /** What the database was asked comes later: whatever happens meanwhile, happens in between. */
  answered(): Promise<void> {
    return new Promise((resolve) => this.io.push(resolve));
  }

  hold(index: number, seq: number): { channel: Channel; release(): void } {
    const process = this.processes[index] as Process;
    process.channel ??= createChannel(THREAD, seq);
    process.holds++;
    const { channel } = process;
    let held = true;
    return {
      channel,
      release: () => {
        if (held && process.channel === channel) this.release(index);
        held = false;
      },
    };
  }

  release(index: number): void {
    const process = this.processes[index] as Process;
    if (--process.holds === 0) process.channel = null;
  }

  connect(client: Client, index: number): void {
    if (client.connection) return;
    const connection = new AbortController();
    client.connection = connection;
    const process = this.processes[index] as Process;
    process.clients.add(client);
    const from = client.journal.lastId === null ? null : parseCursor(THREAD, client.journal.lastId);
    if (client.journal.lastId !== null && from === null)
      throw new Error(`the server's own cursor ${client.journal.lastId} is none`);
    void runReader(
      {
        threadId: THREAD,
        from,
        signal: connection.signal,
        deliver: (delivery) => {
          if (!connection.signal.aborted) client.wire.push(delivery);
        },
        unread: () => 0,
      },
      {
        readShown: async () => ({ upTo: 0, spans: [] }),
        readPage: async (after) => {
          const words = process.channel && process.channel.readers > 0 ? [] : this.said({});
          const entries = this.log.slice(after, after + PAGE);
          const page: Page = { entries, full: entries.length === PAGE, words };
          await this.answered();
          return page;
        },
        hold: (seq) => this.hold(index, seq),
        refresh: () => this.refresh(index),
      },
    ).then((why) => {
      if (client.connection === connection && why !== "left") throw new Error(`a reader ended: ${why}`);
    });
  }

  /** The network delivers `count` of what was written. */
  receive(client: Client, count: number): void {
    for (const { event, cursor } of client.wire.splice(0, count)) write(client.journal, cursor, event);
  }

  cut(client: Client): void {
    client.connection?.abort();
    disconnected(client.journal);
    client.connection = null;
    client.wire = [];
    for (const process of this.processes) process.clients.delete(client);
  }
}

function check(world: World, { journal }: Client): void {
  const { has, should } = compared(journal, world.log);
  expect(has).toEqual(should);
  for (const turn of journal.takenBack) expect(world.crashed.has(turn)).toBe(true);
  for (const [id, text] of journal.texts) {
    const turn = world.turns.get(id);
    if (turn) expect(text).toBe(turn.text);
  }
}

const word = fc.string({ minLength: 1, maxLength: 4 });
const nat = fc.nat(1_000);
const step = fc.oneof(
  fc.record({ do: fc.constant("post" as const) }),
  fc.record({ do: fc.constant("start" as const), process: fc.nat(PROCESSES - 1) }),
  { weight: 5, arbitrary: fc.record({ do: fc.constant("say" as const), turn: nat, text: word }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("store" as const), turn: nat }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("haunt" as const), turn: nat, text: word }) },
  fc.record({
    do: fc.constant("end" as const),
    turn: nat,
    how: fc.constantFrom("completed" as const, "failed" as const),
  }),
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("publish" as const), process: fc.nat(PROCESSES - 1), which: nat }),
  },
  fc.record({ do: fc.constant("refresh" as const), process: fc.nat(PROCESSES - 1) }),
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("connect" as const), client: nat, process: fc.nat(PROCESSES - 1) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("receive" as const), client: nat, count: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cut" as const), client: nat }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("io" as const), which: nat }) },
  fc.record({ do: fc.constant("crash" as const), process: fc.nat(PROCESSES - 1) }),
  fc.record({ do: fc.constant("stall" as const), process: fc.nat(PROCESSES - 1) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
const pick = <T>(from: readonly T[], which: number): T | undefined => from[which % Math.max(1, from.length)];

function act(world: World, each: Step): void {
  const turn = "turn" in each ? pick([...world.turns.values()], each.turn) : undefined;
  const client = "client" in each ? pick(world.clients, each.client) : undefined;
  switch (each.do) {
    case "post":
      world.append(world.message("hello", null));
      break;
    case "start":
      world.start(each.process);
      break;
    case "say":
      if (turn) world.say(turn, each.text);
      break;
    case "haunt": {
      const zombie = pick(world.zombies, each.turn);
      if (zombie) world.say(zombie, each.text);
      break;
    }
    case "store":
      if (turn) turn.stored = turn.text;
      break;
    case "end":
      if (turn) world.end(turn, each.how);
      break;
    case "publish": {
      const process = world.processes[each.process] as Process;
      const [entry] = process.unpublished.splice(each.which % Math.max(1, process.unpublished.length), 1);
      if (entry) process.channel?.append([entry]);
      break;
    }
    case "refresh":
      void world.refresh(each.process);
      break;
    case "connect":
      if (client) world.connect(client, each.process);
      break;
    case "receive":
      if (client) world.receive(client, each.count);
      break;
    case "cut":
      if (client) world.cut(client);
      break;
    case "io":
      world.io.splice(each.which % Math.max(1, world.io.length), 1)[0]?.();
      break;
    case "crash":
      world.crash(each.process);
      break;
    case "stall":
      world.stall(each.process);
      break;
    default:
      each satisfies never;
  }
}

async function drain(world: World): Promise<void> {
  const last = () => world.clients.every((client) => client.wire.length === 0);
  for (let round = 0; round < 200; round++) {
    for (const resolve of world.io.splice(0)) resolve();
    await settled();
    if (round % 10 === 0) for (const index of world.processes.keys()) void world.refresh(index);
    for (const client of world.clients) world.receive(client, client.wire.length);
    if (world.io.length === 0 && last() && round > 25) return;
  }
  throw new Error("the world does not come to rest");
}

describe("a reader who is cut, moved and resumed at random (SPEC.md)", () => {
  it("has every entry once and in order, and words that join to the messages (SSE-4)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
        const world = new World();
        // The third resumes from before the first entry, so it must have everything.
        const first = { cursor: entryCursor(THREAD, 0), seq: 0 };
        world.clients = [null, null, first].map((from) => ({ connection: null, wire: [], journal: newJournal(from) }));
        const errors: unknown[] = [];
        const onError = (error: unknown) => errors.push(error);
        process.on("unhandledRejection", onError);
        try {
          // Most stories begin with an agent that speaks to somebody.
          for (const each of [0, 1, 2].map((client) => ({ do: "connect", client, process: client % 2 }) as const))
            act(world, each);
          for (let i = 0; i < 6; i++) {
            act(world, { do: "io", which: 0 });
            await settled();
          }
          act(world, { do: "start", process: 0 });
          for (const each of steps) {
            act(world, each);
            await settled();
          }
          for (const client of world.clients) world.connect(client, 0);
          for (const turn of [...world.turns.values()]) turn.stored = turn.text;
          await drain(world);
          expect(errors).toEqual([]);
          for (const client of world.clients) check(world, client);
          for (const turn of [...world.turns.values()]) world.end(turn, "completed");
          await drain(world);
          for (const client of world.clients) check(world, client);
          expect(errors).toEqual([]);
        } finally {
          for (const client of world.clients) world.cut(client);
          for (const resolve of world.io.splice(0)) resolve();
          await settled();
          process.off("unhandledRejection", onError);
        }
      }),
      { numRuns: RUNS },
    );
  });
});
