/** CORS headers as Encore's gateway sets them on every answer (api/cors/mod.rs). */

import type { IncomingHttpHeaders } from "node:http";
import type { AppMeta } from "../../meta.js";
import type { Endpoint, RequestShape } from "./endpoint.js";

const ALWAYS_ALLOWED = [
  "accept",
  "authorization",
  "content-type",
  "origin",
  "user-agent",
  "x-correlation-id",
  "x-request-id",
  "x-requested-with",
];
const ALWAYS_EXPOSED = ["x-request-id", "x-correlation-id", "x-encore-trace-id"];
const VARY = "origin, access-control-request-method, access-control-request-headers";

type OriginSet = (origin: string) => boolean;

export interface Cors {
  /** Names and values in turn, for any answer but a preflight's. */
  answer(headers: IncomingHttpHeaders): string[];
  preflight(headers: IncomingHttpHeaders): string[];
}

export function makeCors(
  meta: AppMeta,
  endpoints: Iterable<Endpoint>,
  auth: RequestShape | null,
  local: boolean,
): Cors {
  const allow = new Set<string>();
  const expose = new Set<string>();
  for (const ep of endpoints) {
    if (!ep.meta.expose) continue;
    for (const f of [...ep.asQuery.headers, ...ep.asBody.headers]) allow.add(f.wire);
    for (const f of ep.response.headers) expose.add(f.wire);
  }
  for (const f of auth?.headers ?? []) allow.add(f.wire);
  const lower = (list: string[] | undefined) => (list ?? []).map((s) => s.toLowerCase());
  const mirror = meta.cors.allowHeaders?.includes("*") === true;
  const allowed = [...lower(meta.cors.allowHeaders), ...ALWAYS_ALLOWED, ...allow].join(",");
  const exposed = [...lower(meta.cors.exposeHeaders), ...ALWAYS_EXPOSED, ...expose].join(",");
  // Encore's local environment allows every origin, whatever the app says (cli runtime_config2.go).
  const without = local ? () => true : origins(meta.cors.allowOriginsWithoutCredentials, true);
  const withCredentials = local ? () => true : origins(meta.cors.allowOriginsWithCredentials, false);

  const base = ["access-control-allow-credentials", "true", "vary", VARY];
  const plain = [...base, "access-control-expose-headers", exposed];
  const originOf = (h: IncomingHttpHeaders, credentials: boolean): string | null => {
    const origin = h.origin;
    if (origin === undefined) return null;
    return (credentials ? withCredentials : without)(origin.toLowerCase()) ? origin : null;
  };
  const privateNetwork = (h: IncomingHttpHeaders) =>
    local && h["access-control-request-private-network"] === "true"
      ? ["access-control-allow-private-network", "true"]
      : [];
  const sent = (h: IncomingHttpHeaders) => h.authorization !== undefined || h.cookie !== undefined;
  return {
    answer(h) {
      const origin = originOf(h, sent(h));
      return origin === null
        ? plain
        : [...base, "access-control-allow-origin", origin, "access-control-expose-headers", exposed];
    },
    preflight(h) {
      const asked = h["access-control-request-headers"];
      const credentials =
        sent(h) || (asked?.split(",").some((v) => ["authorization", "cookie"].includes(v.trim())) ?? false);
      const out = [...base, ...privateNetwork(h)];
      const origin = originOf(h, credentials);
      if (origin !== null) out.push("access-control-allow-origin", origin);
      const method = h["access-control-request-method"];
      if (method !== undefined) out.push("access-control-allow-methods", method);
      if (!mirror) out.push("access-control-allow-headers", allowed);
      else if (asked !== undefined) out.push("access-control-allow-headers", asked);
      return out;
    },
  };
}

function origins(list: string[] | undefined, unset: boolean): OriginSet {
  if (!list) return () => unset;
  if (list.includes("*")) return () => true;
  const exact = new Set(list.filter((o) => !o.includes("*")));
  const wild = list
    .filter((o) => o.includes("*"))
    .map((o) => [o.slice(0, o.indexOf("*")), o.slice(o.indexOf("*") + 1)] as const);
  return (o) =>
    exact.has(o) || wild.some(([a, b]) => o.length > a.length + b.length && o.startsWith(a) && o.endsWith(b));
}
