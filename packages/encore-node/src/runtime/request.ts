/** The request as encore.dev sees it: `runtime.Request` of the native bindings. */

import { randomFillSync } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Endpoint } from "./http/endpoint.js";
import { encodeJson } from "./json/write.js";
import { utf8 } from "./schema/header.js";

export interface AuthInfo {
  userId: string;
  data: Record<string, unknown>;
}

export interface CallOrigin {
  traceId: string;
  spanId: string;
  correlationId: string | null;
}

const ALPHABET = "0123456789abcdefghijklmnopqrstuv";
const POOL_BYTES = 4096;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

const ID_CHARS_MAX = 64;
const id = Buffer.alloc(ID_CHARS_MAX);

/** Random bytes in Encore's base32. Written in one piece: joined letter by letter it would stay a tree of strings while its request lasts. */
export function randomId(bytes: number): string {
  if (used + bytes > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  let length = 0;
  let bits = 0;
  let held = 0;
  for (let i = 0; i < bytes; i++) {
    held = (held << 8) | (pool[used++] as number);
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      id[length++] = ALPHABET.charCodeAt((held >> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  if (bits > 0) id[length++] = ALPHABET.charCodeAt((held << (5 - bits)) & 31);
  return id.toString("latin1", 0, length);
}

const TRACE_BYTES = 16;
const SPAN_BYTES = 8;
const CORRELATION_MAX = 64; // characters, as Encore

export class Request {
  /** Set by encore.dev's middleware chain. */
  middlewareData?: unknown;
  readonly startedAt = Date.now();
  readonly traceId: string;
  readonly spanId = randomId(SPAN_BYTES);
  readonly parentSpanId: string | null;
  readonly correlationId: string | null;
  auth: AuthInfo | null = null;

  constructor(
    readonly endpoint: Endpoint | null,
    readonly method: string,
    readonly path: string,
    readonly pathAndQuery: string,
    private readonly headers: () => Record<string, string | string[]>,
    readonly fields: Record<string, unknown> | null,
    readonly pathParams: Record<string, unknown> | null,
    origin: CallOrigin | null,
    correlation: string | null = null,
  ) {
    this.traceId = origin?.traceId ?? randomId(TRACE_BYTES);
    this.parentSpanId = origin?.spanId ?? null;
    this.correlationId = origin ? origin.correlationId : correlation ? correlation.slice(0, CORRELATION_MAX) : null;
  }

  payload(): unknown {
    return this.fields;
  }

  getAuthData(): unknown {
    return this.auth?.data ?? null;
  }

  meta(): unknown {
    const ep = this.endpoint;
    return {
      startedAt: new Date(this.startedAt).toISOString().replace(/\.\d+Z$/, "Z"),
      trace: {
        traceId: this.traceId,
        spanId: this.spanId,
        ...(this.parentSpanId ? { parentTraceId: undefined, parentSpanId: this.parentSpanId } : {}),
        ...(this.correlationId ? { extCorrelationId: this.correlationId } : {}),
      },
      ...(ep ? { apiCall: this.apiCall(ep) } : {}),
    };
  }

  private apiCall(ep: Endpoint): unknown {
    return {
      api: {
        service: ep.meta.service,
        endpoint: ep.meta.name,
        raw: ep.raw,
        requiresAuth: ep.meta.auth,
        tags: [...ep.meta.tags],
      },
      method: ep.stream ? "" : this.method,
      path: this.path,
      pathAndQuery: this.pathAndQuery,
      ...(ep.asQuery.params.length > 0 && this.pathParams ? { pathParams: asJson(this.pathParams) } : {}),
      ...(this.fields ? { parsedPayload: asJson(this.fields) } : {}),
      headers: ep.stream ? {} : this.headers(),
    };
  }
}

function asJson(value: unknown): unknown {
  return JSON.parse(encodeJson(value));
}

const INTERNAL_HEADER = "x-encore-meta";

/**
 * Headers for the application: repeated ones become lists; Encore's own are left out; who asked, and for which host, is
 * in `x-forwarded-*` as behind Encore's gateway (gateway/mod.rs).
 */
export function appHeaders(raw: readonly string[], remote: string | undefined): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {};
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (name.startsWith(INTERNAL_HEADER)) continue;
    const value = utf8(raw[i + 1] as string);
    const before = out[name];
    if (before === undefined) out[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else out[name] = [before, value];
  }
  if (remote !== undefined) out["x-forwarded-for"] = [out["x-forwarded-for"] ?? [], remote].flat().join(", ");
  if (out.host !== undefined) out["x-forwarded-host"] = out.host;
  out["x-forwarded-proto"] = "http";
  return out;
}

/** A caller's own id of the request, to be found again in the logs. */
export function correlationOf(headers: IncomingHttpHeaders): string | null {
  const id = headers["x-correlation-id"] ?? headers["x-request-id"];
  return typeof id === "string" ? id : null;
}
