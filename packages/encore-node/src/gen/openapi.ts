import type { AppMeta } from "../meta.js";

export function buildOpenApi(meta: AppMeta): Record<string, unknown> {
  return { openapi: "3.1.0", info: { title: meta.appId, version: "0" }, paths: {} };
}
