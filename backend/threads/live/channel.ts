import type { LogEntry } from "../../lib/events";
import { type Delivery, type Place, placeAt, samePlace, takeEntry, takeWords, turnEndedBy, type Words } from "./place";

/** Who is given what happens in a channel, in order. */
export interface Reader {
  deliver(delivery: Delivery): void;
  /** The channel ends it. `lost`: it cannot go on without a hole, and comes back by its cursor. */
  end(why: "lost" | "erased"): void;
}

/** A turn that speaks in this process. */
export interface Speaker {
  turnId: string;
  agentId: string;
  /** Seq of its `turn_started`: words of a start that is over are heard no more. */
  startSeq: number;
}

/** Entries that may arrive before the one that fills the hole before them. */
const HELD_ENTRIES_MAX = 10_000;
/** Turns that ended lately, whose late words are not heard. */
const ENDED_TURNS_MAX = 256;

/**
 * The live end of one thread in one process: orders what writers hand in (commits may be reported out of order), and gives each thing,
 * with the cursor that stands after it, to every reader.
 */
export interface Channel {
  /** Place in the log that all readers have been given. */
  readonly seq: number;
  readonly readers: number;
  /** True while an entry is missing that later ones wait for. */
  readonly hole: boolean;
  append(entries: LogEntry[]): void;
  /** Words as a turn of this process says them. */
  speak(speaker: Speaker, text: string): void;
  /**
   * Words of a turn wherever it runs, as the database has them: whatever is new of them is given to the readers. Append the log up to the
   * time of reading first. Pieces that do not follow what is known wait for a further call.
   */
  catchUp(words: Words): void;
  /** Characters known of each turn that is speaking, by its id: what `catchUp` need not be told again. */
  known(): Record<string, number>;
  /** Gives a reader who has the log up to `seq` what it lacks of the running turns, and from then on whatever happens. */
  join(reader: Reader, at: Place): () => void;
  /** Ends every reader, for a thread that is no more. */
  close(): void;
}

interface Speaking {
  agentId: string;
  startSeq: number;
  text: string;
}

export function createChannel(threadId: string, startSeq: number): Channel {
  const place = placeAt(threadId, { seq: startSeq, said: new Map() });
  const held = new Map<number, LogEntry>();
  const readers = new Set<Reader>();
  const speaking = new Map<string, Speaking>();
  /** Words whose start waits for an earlier entry, by the start's seq: a turn can have two starts that wait. */
  const early = new Map<number, Speaking>();
  const ended = new Set<string>();
  let closed = false;

  function give(delivery: Delivery | null): void {
    if (delivery) for (const reader of readers) reader.deliver(delivery);
  }

  function say(turnId: string, turn: Speaking, content: string): void {
    const words = { turnId, agentId: turn.agentId, offset: turn.text.length, content };
    turn.text += content;
    give(takeWords(place, words));
  }

  function next(entry: LogEntry): void {
    for (const delivery of takeEntry(place, entry)) give(delivery);
    const { event } = entry;
    if (event.type === "turn_started") {
      speaking.set(event.turn_id, { agentId: event.agent_id, startSeq: entry.seq, text: "" });
      const waiting = early.get(entry.seq);
      early.delete(entry.seq);
      if (waiting) speakNow(event.turn_id, waiting, waiting.text);
    }
    const over = turnEndedBy(event);
    if (over === null) return;
    speaking.delete(over);
    ended.add(over);
    for (const oldest of ended) {
      if (ended.size <= ENDED_TURNS_MAX) break;
      ended.delete(oldest);
    }
  }

  function speakNow(turnId: string, { agentId, startSeq }: Omit<Speaking, "text">, text: string): void {
    const turn = speaking.get(turnId) ?? { agentId, startSeq, text: "" };
    if (turn.startSeq > startSeq) return; // another process has begun it anew
    speaking.set(turnId, turn);
    say(turnId, turn, text);
  }

  return {
    get seq() {
      return place.seq;
    },
    get readers() {
      return readers.size;
    },
    get hole() {
      return held.size > 0;
    },
    append(entries) {
      for (const entry of entries) if (entry.seq > place.seq) held.set(entry.seq, entry);
      for (let entry = held.get(place.seq + 1); entry; entry = held.get(place.seq + 1)) {
        held.delete(entry.seq);
        next(entry);
      }
      if (held.size <= HELD_ENTRIES_MAX) return;
      held.clear();
      for (const reader of readers) reader.end("lost");
    },
    speak({ turnId, agentId, startSeq }, text) {
      if (text === "" || ended.has(turnId)) return;
      if (startSeq <= place.seq) return speakNow(turnId, { agentId, startSeq }, text);
      early.set(startSeq, { agentId, startSeq, text: (early.get(startSeq)?.text ?? "") + text });
    },
    catchUp({ turnId, agentId, offset, content }) {
      if (ended.has(turnId)) return;
      const turn = speaking.get(turnId) ?? { agentId, startSeq: 0, text: "" };
      const known = turn.text.length;
      if (offset > known || offset + content.length <= known) return;
      speaking.set(turnId, turn);
      say(turnId, turn, content.slice(known - offset));
    },
    known() {
      return Object.fromEntries([...speaking].map(([turnId, { text }]) => [turnId, text.length]));
    },
    join(reader, at) {
      if (closed) reader.end("erased");
      if (at.seq !== place.seq) throw new Error(`a reader at entry ${at.seq} cannot join at entry ${place.seq}`);
      for (const [turnId, { agentId, text }] of speaking) {
        const delivery = takeWords(at, { turnId, agentId, offset: 0, content: text });
        if (delivery) reader.deliver(delivery);
      }
      const joined = samePlace(at, place) ? reader : ahead(reader, at);
      readers.add(joined);
      return () => readers.delete(joined);
    },
    close() {
      closed = true;
      for (const reader of readers) reader.end("erased");
    },
  };

  /**
   * A reader who has more of a turn than this process knows (it heard another process say it) is given only what it lacks, with cursors
   * of its own, until the channel stands where it stands.
   */
  function ahead(reader: Reader, at: Place): Reader {
    let together = false;
    return {
      deliver(delivery) {
        if (together) return reader.deliver(delivery);
        if (delivery.seq !== null) {
          for (const own of takeEntry(at, delivery)) reader.deliver(own);
        } else if (delivery.event.type === "ai_chunk") {
          const { turn_id: turnId, agent_id: agentId, offset, content } = delivery.event;
          const own = takeWords(at, { turnId, agentId, offset, content });
          if (own) reader.deliver(own);
        }
        together = samePlace(at, place);
      },
      end: (why) => reader.end(why),
    };
  }
}
