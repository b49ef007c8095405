import { formatCursor } from "../../lib/cursor";
import type { LogEntry, ThreadEvent } from "../../lib/events";
import { encodeEvent } from "../../lib/sse";

/** Readers of a channel get ready-made bytes: an event is encoded once, however many read it. */
export interface Reader {
  /** Bytes to pass on, in order. */
  write(frame: Buffer): void;
  /** The channel cannot go on without a hole: the reader must end, and come back by its cursor. */
  lost(): void;
}

/** A turn that is speaking in this process, as far as it has spoken. */
export interface Speaking {
  turnId: string;
  agentId: string;
  text: string;
}

/** Entries that may arrive before the one that fills the hole before them. */
const HELD_ENTRIES_MAX = 10_000;

/**
 * The live end of one thread in one process: orders what writers hand in (commits may be reported out of order), gives every frame
 * the cursor that stands after it, and hands the same bytes to every reader.
 */
export interface Channel {
  /** Place in the log that all readers have been given. */
  readonly seq: number;
  readonly readers: number;
  /** True while an entry is missing that later ones wait for. */
  readonly hole: boolean;
  append(entries: LogEntry[]): void;
  speak(turn: Speaking, text: string): void;
  endTurn(turnId: string): void;
  /** What a new reader must be told after the log up to `seq`: the words of running turns so far. */
  spoken(from: ReadonlyMap<string, number>): Buffer[];
  join(reader: Reader): () => void;
  /** Ends every reader, for a thread that is no more; `event` tells them why. */
  close(event: ThreadEvent): void;
}

export function createChannel(threadId: string, startSeq: number): Channel {
  let seq = startSeq;
  const held = new Map<number, LogEntry>();
  const readers = new Set<Reader>();
  const speaking = new Map<string, Speaking>();

  function cursor(): string {
    return formatCursor({
      seq,
      offsets: new Map([...speaking.values()].map((turn) => [turn.turnId, turn.text.length])),
    });
  }

  function send(event: ThreadEvent): void {
    if (readers.size === 0) return;
    const frame = encodeEvent({ id: cursor(), event: event.type, data: event });
    for (const reader of readers) reader.write(frame);
  }

  function chunk(turn: Speaking, offset: number, content: string): ThreadEvent {
    return { type: "ai_chunk", thread_id: threadId, turn_id: turn.turnId, agent_id: turn.agentId, offset, content };
  }

  return {
    get seq() {
      return seq;
    },
    get readers() {
      return readers.size;
    },
    get hole() {
      return held.size > 0;
    },
    append(entries) {
      for (const entry of entries) if (entry.seq > seq) held.set(entry.seq, entry);
      for (let next = held.get(seq + 1); next; next = held.get(seq + 1)) {
        held.delete(next.seq);
        seq = next.seq;
        send(next.event);
      }
      if (held.size > HELD_ENTRIES_MAX) {
        held.clear();
        for (const reader of readers) reader.lost();
      }
    },
    speak(turn, text) {
      const known = speaking.get(turn.turnId) ?? { ...turn, text: "" };
      const offset = known.text.length;
      known.text += text;
      speaking.set(turn.turnId, known);
      send(chunk(turn, offset, text));
    },
    endTurn(turnId) {
      speaking.delete(turnId);
    },
    spoken(from) {
      const frames: Buffer[] = [];
      const offsets = new Map(from);
      for (const turn of speaking.values()) {
        const offset = Math.min(from.get(turn.turnId) ?? 0, turn.text.length);
        offsets.set(turn.turnId, turn.text.length);
        if (offset === turn.text.length) continue;
        const id = formatCursor({ seq, offsets });
        frames.push(encodeEvent({ id, event: "ai_chunk", data: chunk(turn, offset, turn.text.slice(offset)) }));
      }
      return frames;
    },
    join(reader) {
      readers.add(reader);
      return () => readers.delete(reader);
    },
    close(event) {
      send(event);
      for (const reader of readers) reader.lost();
    },
  };
}
