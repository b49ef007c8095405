/**
 * The one coordinate of a thread, for SSE `id`, lists and `context`: the seq of the last durable entry a reader has, and, for turns
 * that are still speaking, how much of each one's text. Opaque to clients; its form is `<seq>` or `<seq>.<turn id>:<offset>,…`, offsets
 * in UTF-16 code units of the turn's text.
 */
export interface Cursor {
  seq: number;
  offsets: ReadonlyMap<string, number>;
}

export const START: Cursor = { seq: 0, offsets: new Map() };

const CURSOR_CHARS_MAX = 2_000;
const TURN = /^(turn_[0-9a-hjkmnp-tv-z]{26}):(\d{1,9})$/;

export function formatCursor(cursor: Cursor): string {
  if (cursor.offsets.size === 0) return String(cursor.seq);
  return `${cursor.seq}.${[...cursor.offsets].map(([turn, offset]) => `${turn}:${offset}`).join(",")}`;
}

/** The cursor a client sent back, or null when it is none of ours: never a silent start from zero. */
export function parseCursor(text: string): Cursor | null {
  if (text.length > CURSOR_CHARS_MAX) return null;
  const [seqText = "", turnsText, ...rest] = text.split(".");
  if (!/^\d{1,15}$/.test(seqText) || rest.length > 0) return null;
  const offsets = new Map<string, number>();
  if (turnsText !== undefined) {
    for (const part of turnsText.split(",")) {
      const match = TURN.exec(part);
      if (!match?.[1] || !match[2]) return null;
      offsets.set(match[1], Number(match[2]));
    }
  }
  return { seq: Number(seqText), offsets };
}
