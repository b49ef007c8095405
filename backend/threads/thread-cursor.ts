import { type Cursor, parseCursor } from "../lib/cursor";
import { invalid } from "../lib/errors";

/** The thread's cursor that a client sent, or the one answer to what is none of it: never a silent start from zero. */
export function requireCursor(threadId: string, text: string, lastSeq: number): Cursor {
  const cursor = parseCursor(threadId, text);
  if (cursor && cursor.seq <= lastSeq) return cursor;
  throw invalid(
    "bad_cursor",
    cursor ? "This cursor is ahead of the thread's log." : "This cursor is none of this thread's.",
    "Send a cursor of this thread unchanged (an event's id, next_cursor, or context.cursor), or none, to begin from the start.",
  );
}
