import type { LogEntry, LogEvent, Message, ThreadEvent } from "../../lib/events";

/**
 * What a client has of a thread, kept as docs/api.md tells clients to: entries as they come, and each turn's text cut to a chunk's `offset`
 * and then added to. Whatever must never happen to a client is thrown at once; the rest is compared with the log at the end.
 */
export interface Journal {
  /** The id of the last event: where to go on. */
  lastId: string | null;
  entries: LogEntry[];
  texts: Map<string, string>;
  /** Turns of which words were taken back; only the loss of a process may do that. */
  takenBack: Set<string>;
  /** From here on it must have every entry; before, a new reader is shown the messages. Null until it was given something. */
  wholeFrom: number | null;
}

/** `from`: the cursor it begins with and that cursor's seq; without it, it is a new reader. */
export function newJournal(from: { cursor: string; seq: number } | null = null): Journal {
  return {
    lastId: from?.cursor ?? null,
    entries: [],
    texts: new Map(),
    takenBack: new Set(),
    wholeFrom: from?.seq ?? null,
  };
}

export function write(journal: Journal, id: string | undefined, event: ThreadEvent): void {
  if (id === undefined) {
    if (event.type !== "error") throw new Error(`${event.type} came without an id`);
    return;
  }
  journal.lastId = id;
  switch (event.type) {
    case "caught_up":
      journal.wholeFrom ??= event.last_seq;
      break;
    case "ai_chunk":
      addWords(journal, event.turn_id, event.offset, event.content);
      break;
    case "error":
      break;
    default:
      addEntry(journal, { seq: Number.parseInt(id, 10), event: event as LogEvent });
  }
}

/** The connection is gone: a reader that has any id comes back with it, and then must miss nothing. */
export function disconnected(journal: Journal): void {
  if (journal.lastId !== null) journal.wholeFrom ??= Number.parseInt(journal.lastId, 10);
}

function addWords({ texts, takenBack }: Journal, turn: string, offset: number, content: string): void {
  const text = texts.get(turn) ?? "";
  if (offset > text.length) throw new Error(`a hole in the words: ${text.length} characters before ${offset}`);
  if (offset < text.length) {
    if (content !== "") throw new Error(`words were given twice: ${text.length} characters before ${offset}`);
    takenBack.add(turn);
  }
  texts.set(turn, text.slice(0, offset) + content);
}

function addEntry({ entries, texts }: Journal, entry: LogEntry): void {
  const last = entries.at(-1)?.seq ?? 0;
  if (entry.seq <= last) throw new Error(`entry ${entry.seq} came after entry ${last}`);
  entries.push(entry);
  if (entry.event.type === "turn_started") texts.set(entry.event.turn_id, "");
  if (entry.event.type === "message") compareWords(texts, entry.event.message);
}

function compareWords(texts: ReadonlyMap<string, string>, { turn_id, content }: Message): void {
  const text = turn_id === null ? undefined : texts.get(turn_id);
  if (text !== undefined && text !== content) throw new Error(`the words "${text}" became the message "${content}"`);
}

/** What a journal should have of a log, and has; for `expect(has).toEqual(should)`. */
export function compared(journal: Journal, log: readonly LogEntry[]): { has: LogEntry[]; should: LogEntry[] } {
  const from = journal.wholeFrom ?? Number.POSITIVE_INFINITY;
  return { has: journal.entries, should: log.filter(({ seq, event }) => seq > from || event.type === "message") };
}
