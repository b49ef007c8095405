import { ErrCode } from "encore.dev/api";
import { problem } from "../../lib/errors";
import { FairQueue } from "../../lib/fair-queue";

/**
 * Readers that read their past from the database at once, in this process. When a thousand come back together, they wait for each other
 * here and not, with everybody else's messages, for a connection to the database.
 */
const REPLAYS_AT_ONCE_MAX = 2;
/** As many as may have a stream, and no longer than a client waits for its first event. */
const WAITING = { waitingMax: 12_000, waitingOfOneMax: 3_000, waitMsMax: 30_000 };

const places = new FairQueue(REPLAYS_AT_ONCE_MAX, WAITING, () =>
  problem(
    ErrCode.ResourceExhausted,
    "too_many_readers",
    "Too many readers are coming back at once.",
    "Come back in a few seconds with the same cursor.",
    { retry_after_ms: RETRY_AFTER_MS },
  ),
);
const RETRY_AFTER_MS = 5_000;

/** Reads from the database for a reader, when its organization has its turn. */
export async function inReplayPlace<T>(orgId: string, read: () => Promise<T>): Promise<T> {
  const leave = await places.enter(orgId);
  try {
    return await read();
  } finally {
    leave();
  }
}
