import { api } from "encore.dev/api";
import { secret } from "encore.dev/config";
import { registry } from "../lib/metrics";
import { sameSecret } from "../lib/same-secret";
import { lookUp } from "./metrics-gauges";

const metricsKey = secret("MetricsKey");

/**
 * This process's metrics in Prometheus' text format, for the server's operator: with the secret MetricsKey as a bearer token, and for
 * nobody where there is no such secret. Not by where the request comes from: a proxy on the same machine would make everybody local.
 */
export const metrics = api.raw(
  { expose: true, method: "GET", path: "/metrics", tags: ["internal"] },
  async (req, resp) => {
    const given = /^Bearer +(\S+)$/i.exec(req.headers.authorization ?? "")?.[1] ?? "";
    if (!sameSecret(given, metricsKey())) {
      resp.writeHead(401, { "Content-Type": "application/json", "WWW-Authenticate": "Bearer" });
      resp.end(
        JSON.stringify({ code: "unauthenticated", message: "This needs the server's MetricsKey.", details: null }),
      );
      return;
    }
    await lookUp();
    const text = await registry.metrics();
    resp.writeHead(200, { "Content-Type": registry.contentType });
    resp.end(text);
  },
);
