import log from "encore.dev/log";
import { flush } from "../../db/tenant";
import { PROCESS_ID } from "../turns/lease";
import { beforeTelling, tell, wantPulse } from "./fanout/tell";

/**
 * The words of this process's running turns, and their way into the database: with every pulse (fanout/pulse.ts) one statement for all turns
 * together, so that a reader elsewhere, or after a crash, finds the text so far. One statement, because 1000 turns with a commit each
 * would be 20 000 commits a second. The first words leave at once, and the hint that tells of them right after their commit.
 */
export interface RunningText {
  orgId: string;
  threadId: string;
  turnId: string;
  text: string;
}

export interface Running extends RunningText {
  /** How much the database has. */
  flushed: number;
  /** The end of a piece of which nobody knows whether it arrived, or null. */
  sent: number | null;
}

/** So many turns failing one by one, and none succeeding, say that it is not for the turns. */
const ALONE_TRIES_MAX = 3;

const running = new Map<string, Running>();
let flushing: Promise<void> | null = null;

beforeTelling(() => {
  flushing ??= flushAll().finally(() => {
    flushing = null;
  });
  return flushing;
});

export function beginText({ orgId, threadId, turnId }: Omit<RunningText, "text">): Running {
  const turn: Running = { orgId, threadId, turnId, text: "", flushed: 0, sent: null };
  running.set(turnId, turn);
  return turn;
}

export function addText(turn: Running, text: string): void {
  turn.text += text;
  wantPulse();
}

/** Ends the flushing of a turn; resolves when no write of it is under way, so that its pieces can be removed with its end. */
export async function endText(turn: Running): Promise<void> {
  running.delete(turn.turnId);
  await flushing;
}

/** Stores what is left of a turn whose end could not be stored yet, so that whoever ends it in our place has all its words. */
export async function storeRest(turn: Running): Promise<void> {
  if (turn.sent !== null) await store([{ turn, end: turn.sent }]);
  if (turn.flushed < turn.text.length) await store([{ turn, end: turn.text.length }]);
}

interface Piece {
  turn: Running;
  end: number;
}

async function flushAll(): Promise<void> {
  // A piece that failed is sent again as it was: should it have arrived after all, the same piece is there and nothing is missing.
  const pieces = [...running.values()].flatMap((turn) =>
    turn.flushed < turn.text.length ? [{ turn, end: turn.sent ?? turn.text.length }] : [],
  );
  if (pieces.length === 0 || (await store(pieces))) return;
  if (pieces.length === 1) return;
  // One turn that was erased meanwhile must not keep the words of all others out: each by itself.
  const alone: boolean[] = [];
  for (const piece of pieces) {
    alone.push(await store([piece]));
    if (alone.length >= ALONE_TRIES_MAX && !alone.includes(true)) return; // the database is away
  }
  for (const [index, { turn }] of pieces.entries())
    if (alone[index] === false && alone.includes(true)) running.delete(turn.turnId);
}

/**
 * Writes pieces in one statement; false when that failed: then they are kept in memory, and the turn's end stores the whole text. Those of a
 * turn that another process has taken meanwhile, while this one stood still, are left out: they are its words no more.
 */
async function store(pieces: Piece[]): Promise<boolean> {
  const rows = pieces.map(({ turn, end }) => ({
    org_id: turn.orgId,
    turn_id: turn.turnId,
    start_offset: turn.flushed,
    content: turn.text.slice(turn.flushed, end),
  }));
  for (const { turn, end } of pieces) turn.sent = end;
  try {
    await flush(
      (tx) => tx.exec`
        insert into turn_deltas (org_id, turn_id, start_offset, content)
        select d.org_id, d.turn_id, d.start_offset, d.content
        from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb)
          as d(org_id text, turn_id text, start_offset int, content text)
          join turns t on (t.org_id, t.id) = (d.org_id, d.turn_id)
        where t.state = 'running' and t.lease_owner = ${PROCESS_ID}
        for key share of t
        on conflict do nothing`,
    );
  } catch (error) {
    log.warn("flushing the text of running turns failed", { turns: rows.length, error: String(error) });
    return false;
  }
  for (const { turn, end } of pieces) {
    turn.flushed = end;
    turn.sent = null;
    tell(turn.orgId, turn.threadId, "text");
  }
  return true;
}
