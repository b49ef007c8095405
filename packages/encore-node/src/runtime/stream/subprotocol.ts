/**
 * Browsers cannot set headers on a WebSocket: Encore takes them from a subprotocol `encore.dev.headers.<base64url of a
 * JSON object>` (gateway/websocket.rs).
 */

import type { IncomingMessage } from "node:http";

const PREFIX = "encore.dev.headers.";
const BAD_REQUEST = 400;
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const FORBIDDEN = new Set([
  "accept-charset",
  "accept-encoding",
  "access-control-request-headers",
  "access-control-request-method",
  "connection",
  "content-length",
  "cookie",
  "date",
  "dnt",
  "expect",
  "host",
  "origin",
  "referer",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "via",
  "keep-alive",
  "permissions-policy",
]);

/** Moves them into the request's headers; a status where they are not acceptable, else null. */
export function liftProtocolHeaders(req: IncomingMessage): number | null {
  const offered = req.headers["sec-websocket-protocol"];
  if (offered === undefined || !offered.includes(PREFIX)) return null;
  const kept: string[] = [];
  const lifted: [string, string][] = [];
  for (const protocol of offered.split(",").map((p) => p.trim())) {
    if (!protocol.startsWith(PREFIX)) kept.push(protocol);
    else {
      const headers = decode(protocol.slice(PREFIX.length));
      if (!headers) return BAD_REQUEST;
      lifted.push(...headers);
    }
  }
  for (let i = req.rawHeaders.length - 2; i >= 0; i -= 2) {
    if (req.rawHeaders[i]?.toLowerCase() === "sec-websocket-protocol") req.rawHeaders.splice(i, 2);
  }
  if (kept.length > 0) {
    req.headers["sec-websocket-protocol"] = kept.join(", ");
    req.rawHeaders.push("sec-websocket-protocol", kept.join(", "));
  } else delete req.headers["sec-websocket-protocol"];
  for (const [name, value] of lifted) {
    req.rawHeaders.push(name, value);
    req.headers[name] ??= value;
  }
  return null;
}

function decode(data: string): [string, string][] | null {
  if (!/^[A-Za-z0-9_-]*$/.test(data)) return null;
  let object: unknown;
  try {
    object = JSON.parse(Buffer.from(data, "base64url").toString("utf8"));
  } catch {
    return null;
  }
  if (typeof object !== "object" || object === null || Array.isArray(object)) return null;
  const out: [string, string][] = [];
  for (const [key, value] of Object.entries(object)) {
    const name = key.toLowerCase();
    if (typeof value !== "string" || !NAME.test(name) || !VALUE.test(value)) return null;
    if (FORBIDDEN.has(name) || name.startsWith("sec-") || name.startsWith("proxy-")) return null;
    out.push([name, value]);
  }
  return out;
}
