/** Connections to upstreams, kept alive, a pool each. */
import { Agent, type Dispatcher, EnvHttpProxyAgent } from "undici";
import { IN_FLIGHT_MAX, KEEP_ALIVE_MS, KEEP_ALIVE_MS_MAX, readLimits } from "../limits";
import type { Upstream } from "./upstream";
import { UpstreamError } from "./upstream-error";

interface Connections {
  dispatcher: Dispatcher;
  inFlight: number;
}

const pools = new Map<string, Connections>(); // one an upstream, and those are configured

/** The connections of an upstream, with the deadlines of the process's configuration. */
export function connectionsOf(upstream: Upstream): Connections {
  let pool = pools.get(upstream.baseUrl);
  if (pool === undefined) {
    const { connectMsMax, firstTokenMsMax, idleMsMax } = readLimits();
    const options = {
      connections: IN_FLIGHT_MAX,
      pipelining: 1,
      connect: { timeout: connectMsMax },
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS_MAX,
      // Behind the gateway's own deadlines, should one of those not fire.
      headersTimeout: firstTokenMsMax * 2,
      bodyTimeout: Math.max(firstTokenMsMax, idleMsMax) * 2,
    };
    const { HTTP_PROXY, HTTPS_PROXY, http_proxy, https_proxy, NO_PROXY, no_proxy } = process.env;
    const isProxied = HTTP_PROXY || HTTPS_PROXY || http_proxy || https_proxy;
    const noProxy = [NO_PROXY ?? no_proxy, "127.0.0.1", "localhost"].filter(Boolean).join(",");
    const dispatcher = isProxied ? new EnvHttpProxyAgent({ ...options, noProxy }) : new Agent(options);
    pool = { dispatcher, inFlight: 0 };
    pools.set(upstream.baseUrl, pool);
  }
  return pool;
}

export interface UpstreamRequest {
  method: "GET" | "POST";
  /** Behind the base URL, e.g. `/chat/completions`. */
  path: string;
  key: string | undefined;
  headers?: Record<string, string>;
  body?: string;
  signal: AbortSignal;
}

/** Sends one request. `release` must be called once its answer has been read or dropped. */
export async function send(
  upstream: Upstream,
  { method, path, key, headers, body, signal }: UpstreamRequest,
): Promise<{ response: Dispatcher.ResponseData; release: () => void }> {
  const connections = connectionsOf(upstream);
  if (connections.inFlight >= IN_FLIGHT_MAX) throw new UpstreamError("unavailable", { code: "too_many_at_once" });
  connections.inFlight++;
  let held = true;
  const release = () => {
    if (held) connections.inFlight--;
    held = false;
  };
  const url = new URL(upstream.baseUrl + path);
  try {
    const response = await connections.dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: {
        "user-agent": "graphyn",
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
      signal,
    });
    response.body.on("error", () => undefined); // whoever reads it gets it too; a body that is dropped must not end the process
    return { response, release };
  } catch (error) {
    release();
    throw error;
  }
}
