import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { buildConnector } from "undici";
import { STALE_SOCKET_MS_MAX } from "./config";

/** What a socket had read when its last request was sent. */
const readAtSend = new WeakMap<Socket, number>();

/** Errors of sockets that had answered an earlier request, and not one byte to their last. */
const staleErrors = new WeakSet<Error>();

const CLOSED_BY_PEER = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);

// undici tells here, and nowhere else, which socket a request goes out on.
subscribe("undici:client:sendHeaders", (message) => {
  const { socket } = message as { socket?: Socket };
  if (socket !== undefined) readAtSend.set(socket, socket.bytesRead);
});

/** undici's connector, watching for connections that Letta closes just as they are used again. */
export function watchingConnector(timeoutMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: timeoutMs, keepAlive: true });
  return (options, callback) => {
    connect(options, (...result) => {
      const socket = result[1];
      socket?.on("error", (error: Error & { code?: string }) => {
        const before = readAtSend.get(socket) ?? 0;
        if (CLOSED_BY_PEER.has(error.code ?? "") && before > 0 && socket.bytesRead === before) staleErrors.add(error);
      });
      callback(...result);
    });
  };
}

/**
 * Whether a failed request went to a connection that Letta had already closed: only then was it not heard, and may be repeated. One that
 * fails later than a moment may have been heard by a server that died.
 */
export function wasStale(error: unknown, startedAt: number): boolean {
  if (performance.now() - startedAt > STALE_SOCKET_MS_MAX) return false;
  for (let cause = error, depth = 0; cause instanceof Error && depth < 6; cause = cause.cause, depth++) {
    if (staleErrors.has(cause)) return true;
  }
  return false;
}
