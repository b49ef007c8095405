/**
 * The one coordinate of a thread, for SSE `id`, WebSocket `cursor`, lists and `context`: the seq of the last entry a reader has, and, for
 * turns that are still speaking, how much of each one's text. Opaque to clients. Its form is `<seq>~<check>` or
 * `<seq>.<turn>:<said>,…~<check>`: `turn` the last characters of the turn's id, `said` UTF-16 code units in base 36, `check` over the
 * thread's id and everything before, so that a cursor of another thread, a made-up one, or one that lost its end is told from a real one.
 * (It is no signature: what a cursor may read is decided by whose the thread is, never by the cursor.)
 */
export interface Cursor {
  seq: number;
  /** By the turn's tag. A turn that is not in it has said nothing to whoever holds the cursor. */
  said: ReadonlyMap<string, number>;
}

export const CURSOR_CHARS_MAX = 2_000;
/** Turns that one cursor tells of: all that can speak at once in a thread of 100 participants, and some who have left. */
const CURSOR_TURNS_MAX = 120;
const TAG_CHARS = 8;
const CHECK_CHARS = 7;

const FORM = /^(0|[1-9]\d{0,14})(?:\.([0-9a-z:,]+))?~([0-9a-z]{7})$/;
const SAID = /^([0-9a-z]{8}):([1-9a-z][0-9a-z]{0,5})$/;

/** What a cursor calls a turn: 40 random bits of its id, enough to tell apart those that speak in one thread at once. */
export function turnTag(turnId: string): string {
  return turnId.slice(-TAG_CHARS);
}

export function formatCursor(threadId: string, { seq, said }: Cursor): string {
  let text = String(seq);
  let turns = 0;
  for (const [tag, chars] of said) {
    if (chars === 0) continue;
    // A turn that is left out is told from its beginning again, which its chunks' offsets say.
    if (++turns > CURSOR_TURNS_MAX) break;
    text += `${turns === 1 ? "." : ","}${tag}:${chars.toString(36)}`;
  }
  return `${text}~${check(threadId, text)}`;
}

/** Right after an entry of the log, with nothing of the turns that speak then: what lists and `context` give out. */
export function entryCursor(threadId: string, seq: number): string {
  return formatCursor(threadId, { seq, said: new Map() });
}

/** The cursor a client sent back, or null when it is none of this thread: never a silent start from zero. */
export function parseCursor(threadId: string, text: string): Cursor | null {
  if (text.length > CURSOR_CHARS_MAX) return null;
  const match = FORM.exec(text);
  if (!match?.[1] || match[3] !== check(threadId, text.slice(0, -CHECK_CHARS - 1))) return null;
  const said = new Map<string, number>();
  for (const part of match[2]?.split(",") ?? []) {
    const turn = SAID.exec(part);
    if (!turn?.[1] || !turn[2]) return null;
    said.set(turn[1], Number.parseInt(turn[2], 36));
  }
  return { seq: Number(match[1]), said };
}

/** FNV-1a of 32 bits (http://www.isthe.com/chongo/tech/comp/fnv/), its bits mixed once more as MurmurHash3 ends; in base 36. */
function check(threadId: string, text: string): string {
  let hash = 0x811c9dc5;
  for (const part of [threadId, text]) {
    for (let i = 0; i < part.length; i++) hash = Math.imul(hash ^ part.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ 0x7c, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0).toString(36).padStart(CHECK_CHARS, "0");
}
