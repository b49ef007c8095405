import { setMaxListeners } from "node:events";

/**
 * Aborted when this process is told to end (SIGTERM, SIGINT): whoever holds something open ends it, says whether to come back, and takes
 * nothing new. The host goes on serving what is under way for a bounded time (ENCORE_NODE_DRAIN_MS; Encore's `graceful_shutdown`).
 * Both hosts listen for the signals themselves and are not disturbed by this listener.
 */
const controller = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => controller.abort());
setMaxListeners(0, controller.signal); // every open stream listens

export const stopping: AbortSignal = controller.signal;
