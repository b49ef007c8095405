import { parseCursor } from "../../lib/cursor";
import type { LogEntry, LogEvent, Message } from "../../lib/events";
import { type Channel, createChannel } from "../../threads/live/channel";
import type { Delivery, Words } from "../../threads/live/place";
import { type Page, ThreadReader } from "../../threads/live/reader";
import { disconnected, type Journal, write } from "./journal";

/**
 * A thread, two processes and some clients in miniature: the log and the stored words stand for the database, and everything that happens
 * between them (what is published when, what a page of the log shows, when a connection is cut, when a process dies) is chosen by fast-check.
 * The readers and channels are the real ones. Each client keeps what it is given as docs/api.md tells clients to; the oracle compares it
 * with the log.
 */
export const THREAD = "thread_01h455vb4pex5vsknk084sn02q";
const PAGE = 3;
export const PROCESSES = 2;

export interface Turn {
  id: string;
  agent: string;
  process: number;
  startSeq: number;
  text: string;
  stored: string;
}

export interface Process {
  channel: Channel | null;
  holds: number;
  /** Committed entries that this process has not been told yet. */
  unpublished: LogEntry[];
  clients: Set<Client>;
}

export interface Client {
  connection: AbortController | null;
  /** What the server has written and the network not delivered: a cut loses it. */
  wire: Delivery[];
  journal: Journal;
}

export class World {
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
    const reader = new ThreadReader({
      deliver: (delivery) => {
        if (!connection.signal.aborted) client.wire.push(delivery);
      },
      unread: () => 0,
      ended: (why) => {
        if (client.connection === connection && why !== "left") throw new Error(`a reader ended: ${why}`);
      },
    });
    connection.signal.addEventListener("abort", () => reader.leave());
    void reader.begin(
      { threadId: THREAD, from },
      {
        readShown: async () => ({ upTo: 0, spans: [] }),
        readPage: async (after) => {
          const shown = process.channel && process.channel.readers > 0 ? process.channel.seq : null;
          if (shown === after) return { entries: [], full: false, words: [] }; // as read.ts spares the database
          const words = process.channel && process.channel.readers > 0 ? [] : this.said({});
          await this.answered();
          const entries = this.log.slice(after, after + PAGE);
          const page: Page = { entries, full: entries.length === PAGE, words };
          await this.answered();
          return page;
        },
        hold: (seq) => this.hold(index, seq),
        refresh: () => this.refresh(index),
      },
    );
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
