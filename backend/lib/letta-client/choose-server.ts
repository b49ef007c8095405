import { LettaError, toLettaError } from "./errors";
import type { Server } from "./server";

/** Runs one request on the best server there is, and tells its breaker. What was never heard by one server is tried on the next. */
export async function onBestServer<T>(
  servers: Server[],
  signal: AbortSignal | undefined,
  work: (server: Server) => Promise<T>,
): Promise<T> {
  const tried = new Set<Server>();
  let last: LettaError | undefined;
  for (;;) {
    const server = best(servers, tried);
    if (server === undefined) throw last ?? new LettaError("unavailable", { code: "breaker_open" });
    tried.add(server);
    const outcome = server.breaker.enter();
    server.inFlight++;
    try {
      const result = await work(server);
      outcome.succeeded();
      return result;
    } catch (thrown) {
      const error = toLettaError(thrown, signal);
      if (error.kind === "unauthorized" || error.kind === "no_wall" || error.blame === "caller") outcome.neither();
      else if (error.blame === "server") outcome.failed();
      else outcome.succeeded();
      if (!neverHeard(error)) throw error;
      last = error;
    } finally {
      server.inFlight--;
    }
  }
}

function best(servers: Server[], tried: Set<Server>): Server | undefined {
  let chosen: Server | undefined;
  for (const server of servers) {
    if (tried.has(server) || !server.breaker.passes) continue;
    if (chosen === undefined || server.inFlight < chosen.inFlight) chosen = server;
  }
  return chosen;
}

function neverHeard(error: LettaError): boolean {
  return (
    error.code === "ECONNREFUSED" ||
    error.code === "UND_ERR_CONNECT_TIMEOUT" ||
    error.code === "ENOTFOUND" ||
    error.code === "EHOSTUNREACH"
  );
}
