import log from "encore.dev/log";
import { flush } from "../../db/tenant";

/**
 * The words of this process's running turns, and their way into the database: every FLUSH_MS one statement for all turns together,
 * so that a reader elsewhere, or after a crash, finds the text so far. One statement, because 1000 turns with a commit each would be
 * 10 000 commits a second.
 */
export interface RunningText {
  orgId: string;
  turnId: string;
  text: string;
}

const FLUSH_MS = 100;

const running = new Map<string, RunningText & { flushed: number }>();
let scheduled = false;
let flushing: Promise<void> = Promise.resolve();

export function beginText(orgId: string, turnId: string): RunningText {
  const turn = { orgId, turnId, text: "", flushed: 0 };
  running.set(turnId, turn);
  return turn;
}

export function addText(turn: RunningText, text: string): void {
  turn.text += text;
  if (scheduled) return;
  scheduled = true;
  setTimeout(() => {
    scheduled = false;
    flushing = flushing.then(flushAll);
  }, FLUSH_MS);
}

/** Ends the flushing of a turn; resolves when no write of it is under way, so that its pieces can be removed with its end. */
export async function endText(turn: RunningText): Promise<void> {
  running.delete(turn.turnId);
  await flushing;
}

async function flushAll(): Promise<void> {
  const pieces = [...running.values()].filter((turn) => turn.flushed < turn.text.length);
  if (pieces.length === 0) return;
  const rows = pieces.map(({ orgId, turnId, flushed, text }) => ({
    org_id: orgId,
    turn_id: turnId,
    start_offset: flushed,
    content: text.slice(flushed),
  }));
  const ends = pieces.map((turn) => turn.text.length);
  try {
    await flush(
      (tx) => tx.exec`
        insert into turn_deltas (org_id, turn_id, start_offset, content)
        select org_id, turn_id, start_offset, content
        from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb)
          as d(org_id text, turn_id text, start_offset int, content text)`,
    );
    for (const [index, turn] of pieces.entries()) turn.flushed = ends[index] ?? turn.flushed;
  } catch (error) {
    // Kept in memory and written with the next words; the turn's end stores the whole text in any case.
    log.warn("flushing the text of running turns failed", { turns: rows.length, error: String(error) });
  }
}
