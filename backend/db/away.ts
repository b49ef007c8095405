import { type APIError, ErrCode } from "encore.dev/api";
import log from "encore.dev/log";
import { problem } from "../lib/errors";

/** How long whoever asks for something waits for the database's first word; then they are told so, instead of waiting with it. */
export const FIRST_WORD_MS_MAX = 4_000;
/** A database that is away fails everything at once: the log says why, so often. */
const TOLD_EVERY_MS = 1_000;

/**
 * The words of both hosts' drivers, and of a server that is ending or beginning, for a connection that is not there; and for a disk that is
 * full. A server's own error stands in one line (`FATAL: …`) before a statement runs, and as a listing of its fields once it does.
 */
const AWAY = new RegExp(
  [
    "No space left on device",
    "error (?:communicating with|connecting to) (?:the )?server",
    "timeout establishing|timed out|connection closed|database pool is closed|wait for a database connection",
    "FATAL: .*(?:terminating connection|shutting down|starting up|recovery mode|too many (?:connections|clients)|remaining connection slots)",
    String.raw`SqlState\(\s*E(?:57P0[1-3]|53300)\b`,
  ].join("|"),
  "i",
);

let toldAt = Number.NEGATIVE_INFINITY;

/** The same error, or the one that says that the database is not there for anybody: trying again helps. */
export function orAway(error: unknown): unknown {
  if (!(error instanceof Error) || !AWAY.test(error.message)) return error;
  return away(error.message);
}

/** What has begun within FIRST_WORD_MS_MAX; what begins later is given to `undo`. */
export async function firstWord<T>(beginning: Promise<T>, undo: (begun: T) => unknown): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), FIRST_WORD_MS_MAX);
  });
  const begun = await Promise.race([beginning.then((value) => ({ value })), late]).finally(() => clearTimeout(timer));
  if (begun) return begun.value;
  void beginning.then(undo).catch(() => undefined);
  throw away(`no answer in ${FIRST_WORD_MS_MAX} ms`);
}

function away(why: string): APIError {
  if (performance.now() - toldAt > TOLD_EVERY_MS) {
    toldAt = performance.now();
    log.warn("the database cannot be reached", { error: why });
  }
  return problem(
    ErrCode.Unavailable,
    "database_unavailable",
    "The database cannot be reached at the moment.",
    "Try again in a few seconds; a write with the same Idempotency-Key, which is then done once.",
    { retryable: true, context: null },
  );
}
