import { type Cursor, formatCursor, turnTag } from "../../lib/cursor";
import type { LiveEvent, LogEntry, LogEvent } from "../../lib/events";

/**
 * Where somebody stands in a thread, and what each further thing means there: the one place that decides what a reader lacks. A reader in
 * its replay has a place of its own, a channel has one for all its readers. SPEC.md has the rules (P1 to P5) as they are tested.
 */
export interface Place {
  readonly threadId: string;
  /** The last entry of the log that was given. */
  seq: number;
  /** Characters given of each turn whose message has not come yet, by the turn's tag. */
  readonly said: Map<string, number>;
}

/** One thing for readers, and the cursor that stands after it. `seq` is an entry's place in the log; null for what only passes by. */
export type Delivery =
  | { readonly seq: number; readonly event: LogEvent; readonly cursor: string }
  | { readonly seq: null; readonly event: LiveEvent; readonly cursor: string };

/** A part of a turn's text; `offset` is where it begins in it. */
export interface Words {
  turnId: string;
  agentId: string;
  offset: number;
  content: string;
}

export function placeAt(threadId: string, at: Cursor | null): Place {
  return { threadId, seq: at?.seq ?? 0, said: new Map(at?.said) };
}

export function cursorAt(place: Place): string {
  return formatCursor(place.threadId, place);
}

/** The next entry of the log: what must be given of it, in order. `place` then stands after it. */
export function takeEntry(place: Place, { seq, event }: LogEntry): Delivery[] {
  if (seq !== place.seq + 1) throw new Error(`entry ${seq} does not follow entry ${place.seq}`);
  const before = wordsSettledBy(place, event);
  place.seq = seq;
  return [...before, { event, cursor: cursorAt(place), seq }];
}

/** The next entry for a new reader, who is shown what was said and not how it came about; null for what it is not shown. */
export function takeStored(place: Place, { seq, event }: LogEntry): Delivery | null {
  place.seq = seq;
  const isShown = event.type === "message" || event.type === "reaction";
  return isShown ? { event, cursor: cursorAt(place), seq } : null;
}

/** What `place` lacks of these words; null when it has them all. Throws when something before them is missing. */
export function takeWords(place: Place, { turnId, agentId, offset, content }: Words): Delivery | null {
  const tag = turnTag(turnId);
  const had = place.said.get(tag) ?? 0;
  const end = offset + content.length;
  if (end <= had) return null;
  if (offset > had) throw new Error(`words from ${offset} on do not follow ${had} characters`);
  place.said.set(tag, end);
  return chunk(place, { turnId, agentId, offset: had, content: content.slice(had - offset) });
}

/** Whether two places are one: then whatever one is given is right for the other. */
export function samePlace(a: Place, b: Place): boolean {
  if (a.seq !== b.seq || a.said.size !== b.said.size) return false;
  for (const [tag, chars] of a.said) if (b.said.get(tag) !== chars) return false;
  return true;
}

/** The turn whose words are over with this entry; null when it ends none. */
export function turnEndedBy(event: LogEvent): string | null {
  switch (event.type) {
    case "message":
      return event.message.sender_type === "agent" ? event.message.turn_id : null;
    case "turn_completed":
    case "turn_cancelled":
    case "agent_error":
      return event.turn_id;
    default:
      return null;
  }
}

/** A turn's beginning, message and end settle what its words are: nothing yet, the message, or nothing after all. */
function wordsSettledBy(place: Place, event: LogEvent): Delivery[] {
  if (event.type === "turn_started") place.said.delete(turnTag(event.turn_id)); // maybe begun anew: clients begin its text anew too
  const turnId = turnEndedBy(event);
  if (turnId === null) return [];
  if (event.type === "message") return settle(place, turnId, event.message.sender_id, event.message.content);
  return settle(place, turnId, "agent_id" in event ? event.agent_id : "", "");
}

/**
 * Before a turn's message, the rest of its words. When more was shown than was stored (the process died before it could be), an empty
 * chunk whose offset says where the text ends. `content` is empty for a turn that ended without a message: its words are taken back.
 */
function settle(place: Place, turnId: string, agentId: string, content: string): Delivery[] {
  const tag = turnTag(turnId);
  const had = place.said.get(tag) ?? 0;
  const offset = Math.min(had, content.length);
  const rest: Delivery[] = [];
  if (had !== content.length) {
    place.said.set(tag, content.length);
    rest.push(chunk(place, { turnId, agentId, offset, content: content.slice(offset) }));
  }
  place.said.delete(tag);
  return rest;
}

function chunk(place: Place, { turnId, agentId, offset, content }: Words): Delivery {
  const event: LiveEvent = {
    type: "ai_chunk",
    thread_id: place.threadId,
    turn_id: turnId,
    agent_id: agentId,
    offset,
    content,
  };
  return { event, cursor: cursorAt(place), seq: null };
}
