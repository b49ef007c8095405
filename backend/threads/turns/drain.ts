import { api } from "encore.dev/api";
import log from "encore.dev/log";
import { threads } from "~encore/clients";
import { stopping } from "../../lib/stopping";
import { everythingTold } from "../live/fanout/tell";
import { letQueuedGo } from "./let-go";
import { stopTurn, turnsEnded, turnsHere } from "./run-turn";

/** How long the host waits for what is under way when the process is told to end. */
const DRAIN_MS = Number(process.env.ENCORE_NODE_DRAIN_MS ?? 10_000);
/** Of that, for turns which have not ended by themselves: for Letta to store what was said, and for their ends to be stored. */
const STOP_MS = Math.min(4_000, DRAIN_MS / 2);
/** For the last hints to leave. */
const LAST_HINTS_MS = Math.min(200, STOP_MS / 2);

/**
 * Ends this process's part in all turns, when it has been told to end: queued turns are others' at once; those that are being answered may
 * finish for a bounded time; then one that has said something is ended with its words, and one that has not is begun again elsewhere.
 * An endpoint because the host waits for calls that are under way before it ends the process; it does nothing at other times.
 */
export const drainTurns = api(
  { expose: false, method: "POST", path: "/internal/turns/drain" },
  async (): Promise<void> => {
    if (!stopping.aborted) return;
    const begun = performance.now();
    const left = () => Math.max(0, begun + DRAIN_MS - performance.now());
    await letQueuedGo(turnsHere()).catch((error) =>
      log.warn("queued turns could not be let go; their leases will run out", { error: String(error) }),
    );
    await within(turnsEnded(), left() - STOP_MS);
    const unfinished = turnsHere();
    if (unfinished.length > 0) log.info("turns are stopped because the process ends", { turns: unfinished.length });
    await within(Promise.all(unfinished.map((id) => stopTurn(id, "shutdown"))), left() - LAST_HINTS_MS);
    await within(everythingTold(), left());
  },
);

/** Resolves with `work`, or when the time is over. */
async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms));
  });
  await Promise.race([work.then(() => undefined), late]);
  clearTimeout(timer);
}

stopping.addEventListener("abort", () => void threads.drainTurns());
