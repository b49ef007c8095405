import { Letta as OfficialClient } from "@letta-ai/letta-client";
import { type Dispatcher, Pool, fetch as undiciFetch } from "undici";
import { Breaker, type BreakerState } from "./breaker";
import { KEEP_ALIVE_MS, type LettaLimits, SILENT_SOCKET_MS_MAX, STALE_SOCKET_RETRIES_MAX } from "./config";
import { wasStale, watchingConnector } from "./stale-sockets";

/** One Letta server: its connections, its breaker, the official client over them, and how much it has to do. */
export interface Server {
  readonly url: string;
  readonly pool: Pool;
  readonly breaker: Breaker;
  /** The official client. Retries nothing by itself and logs nothing: its log holds people's text. */
  readonly client: OfficialClient;
  inFlight: number;
  /** Requests repeated because their kept connection had been closed by Letta. */
  staleRetries: number;
}

/** What a server has to do, as this process knows without asking it. */
export interface ServerFigures {
  /** `letta-1` is the first of LETTA_API_URL. Not the URL: that is nobody's business but the operator's. */
  name: string;
  breaker: BreakerState;
  breaker_since: string;
  in_flight: number;
  connections: number;
  stale_retries: number;
}

export interface ServerHealth extends ServerFigures {
  /** Null while it does not answer. */
  version: string | null;
  /** Of its answer to this report's question, ms. */
  latency_ms: number | null;
}

export function createServer(url: string, apiKey: string, limits: LettaLimits): Server {
  const pool = new Pool(new URL(url).origin, {
    connections: limits.streamsMax + limits.callsMax + 2, // 2: probes and stops never wait for a connection
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    headersTimeout: limits.callMsMax,
    bodyTimeout: SILENT_SOCKET_MS_MAX,
    connect: watchingConnector(limits.connectMsMax),
  });
  const server: Server = {
    url,
    pool,
    client: new OfficialClient({
      baseURL: url,
      apiKey: apiKey === "" ? null : apiKey,
      maxRetries: 0,
      timeout: limits.callMsMax,
      logLevel: "off",
      fetch: (input, init) => fetchWithStaleRetry(server, input, init),
    }),
    breaker: new Breaker(limits, () => probe(server)),
    inFlight: 0,
    staleRetries: 0,
  };
  return server;
}

/** Asks for something that needs Letta's database and our password: the health endpoint alone answers "ok" without either. */
export async function probe(server: Server): Promise<boolean> {
  await server.client.get("/v1/admin/orgs/", { query: { limit: 1 }, timeout: PROBE_MS_MAX });
  return true;
}

const PROBE_MS_MAX = 3_000;

/** The streaming call, by undici itself (see stream.ts). Resolves when the head of the answer has come. */
export async function requestStream(
  server: Server,
  options: Omit<Dispatcher.RequestOptions, "origin">,
): Promise<Dispatcher.ResponseData> {
  for (let attempt = 0; ; attempt++) {
    const startedAt = performance.now();
    try {
      return await server.pool.request({ ...options, path: basePath(server.url) + options.path });
    } catch (error) {
      if (attempt >= STALE_SOCKET_RETRIES_MAX || !wasStale(error, startedAt)) throw error;
      server.staleRetries++;
    }
  }
}

type Fetch = typeof globalThis.fetch;

async function fetchWithStaleRetry(
  server: Server,
  input: Parameters<Fetch>[0],
  init: Parameters<Fetch>[1],
): ReturnType<Fetch> {
  for (let attempt = 0; ; attempt++) {
    const startedAt = performance.now();
    try {
      // Node's global types and undici's own describe the same objects; only their names differ.
      return (await undiciFetch(
        input as string,
        { ...init, dispatcher: server.pool } as Parameters<typeof undiciFetch>[1],
      )) as unknown as Response;
    } catch (error) {
      if (attempt >= STALE_SOCKET_RETRIES_MAX || !wasStale(error, startedAt)) throw error;
      server.staleRetries++;
    }
  }
}

function basePath(url: string): string {
  return new URL(url).pathname.replace(/\/$/, "");
}

export async function serverHealth(server: Server, index: number): Promise<ServerHealth> {
  const startedAt = performance.now();
  const answer = await server.client.health({ timeout: PROBE_MS_MAX }).catch(() => null);
  return {
    version: answer?.version ?? null,
    latency_ms: answer === null ? null : Math.round((performance.now() - startedAt) * 10) / 10,
    ...serverFigures(server, index),
  };
}

export function serverFigures(server: Server, index: number): ServerFigures {
  return {
    name: `letta-${index + 1}`,
    breaker: server.breaker.state,
    breaker_since: server.breaker.since.toISOString(),
    in_flight: server.inFlight,
    connections: server.pool.stats.connected,
    stale_retries: server.staleRetries,
  };
}
